import { createPool, type Pool, type PoolConnection, type QueryError, type ResultSetHeader } from 'mysql2'
import { DatabaseAway, isAway, isTransient } from './error.ts'

export interface DatabaseOptions {
  readonly connections: number
  /** Longest time for one statement. Waiting for a connection takes at most half of it. */
  readonly timeoutMs: number
  /**
   * Allows `Connection.script`: several statements in one round trip, in an implicit transaction. Every value in such SQL must be
   * escaped.
   */
  readonly scripts?: boolean
  /**
   * A connection that was not used for so long is replaced. {@link defaultIdleMs} by default. Somewhat later, the server ends it: a host
   * that vanishes in a transaction locks its rows until then.
   */
  readonly idleMs?: number
}

/** Of one statement of a script: its rows, or the header of a write. */
export type ScriptResult<Row> = readonly Row[] | ResultSetHeader

const maxWaitingForConnection = 1_000
/** Share of `timeoutMs` that is spent at most on getting a connection, pooled or new. */
const connectionShare = 0.5
const lockWaitSeconds = 2
/** Firewalls, NATs and load balancers forget a silent connection after minutes, without a word to its ends. */
const defaultIdleMs = 8_000
/** Factor from the time after which a free connection is replaced to that after which the server ends a silent one. */
const silenceFactor = 1.5
/** A pooled connection sends a TCP keep-alive after this silence, so that they do not forget it. */
const keepAliveMs = 10_000
const maxAttempts = 3

/**
 * Returns the statement that limits how long the server keeps the locks of this session once its host has vanished: it waits no longer for
 * the next statement, for the rest of one, or for a result to be read.
 */
export function limitSilence(idleMs = defaultIdleMs): string {
  const seconds = Math.ceil((idleMs * silenceFactor) / 1_000)
  return `SET SESSION wait_timeout = ${seconds}, SESSION net_read_timeout = ${seconds}, SESSION net_write_timeout = ${seconds}`
}

// Escaped values need backslash escapes and durations in SQL need UTC, whatever the server's configuration.
const sessionSettings = [
  `SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = ${lockWaitSeconds}`,
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
]

// A script begins its transaction implicitly and ends it with COMMIT: one statement less than with START TRANSACTION.
const implicitTransactions = 'SET SESSION autocommit = 0'

/** A pool of connections to MySQL or MariaDB. A call that gets no reply in time rejects with DatabaseAway. */
export class Database {
  readonly #pool: Pool
  readonly #timeoutMs: number
  readonly #connectionTimeoutMs: number
  readonly #idleMs: number
  /** Since when each free connection of the pool has not been used. */
  readonly #freeSince = new WeakMap<PoolConnection, number>()

  constructor(url: string, { connections, timeoutMs, scripts = false, idleMs = defaultIdleMs }: DatabaseOptions) {
    this.#timeoutMs = timeoutMs
    this.#connectionTimeoutMs = timeoutMs * connectionShare
    this.#idleMs = idleMs
    this.#pool = createPool({
      uri: url,
      connectionLimit: connections,
      queueLimit: maxWaitingForConnection,
      connectTimeout: this.#connectionTimeoutMs,
      keepAliveInitialDelay: keepAliveMs,
      multipleStatements: scripts,
      timezone: 'Z',
      supportBigNumbers: true,
      // MariaDB returns expressions over BIGINT UNSIGNED as DECIMAL.
      decimalNumbers: true,
      jsonStrings: true,
    })
    this.#pool.on('release', (connection) => this.#freeSince.set(connection, performance.now()))
    this.#pool.on('connection', (connection) => {
      for (const sql of [...sessionSettings, limitSilence(idleMs), ...(scripts ? [implicitTransactions] : [])]) {
        connection.query(sql, (error) => error && connection.destroy())
      }
    })
  }

  /** Runs `work` on one connection. When it rejects, its transaction is rolled back or the connection is closed. */
  async run<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire()
    try {
      const result = await work(new Connection(connection, this.#timeoutMs))
      connection.release()
      return result
    } catch (error) {
      if (isAway(error)) {
        connection.destroy()
        throw new DatabaseAway({ cause: error })
      }
      await this.#rollBack(connection)
      throw error
    }
  }

  /** Like `run`, in one transaction. Runs `work` again when the transaction loses a deadlock. */
  async transaction<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.run(async (connection) => {
          await connection.write('START TRANSACTION')
          const result = await work(connection)
          await connection.write('COMMIT')
          return result
        })
      } catch (error) {
        if (!isTransient(error) || attempt === maxAttempts) throw error
      }
    }
  }

  /**
   * Rejects if the server does not reply, or cannot commit for this user: a read-only server refuses the transaction when it begins, and a
   * Galera node outside the majority refuses to read a table.
   */
  async checkWritable(): Promise<void> {
    await this.run(async (connection) => {
      await connection.write('START TRANSACTION READ WRITE')
      await connection.rows('SELECT 1 FROM migration LIMIT 1')
      await connection.write('ROLLBACK')
    })
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => this.#pool.end((error) => (error ? reject(error) : resolve())))
  }

  #acquire(): Promise<PoolConnection> {
    return new Promise((resolve, reject) => {
      let late = false
      const timer = setTimeout(() => {
        late = true
        reject(new DatabaseAway({ cause: new Error('no connection in time') }))
      }, this.#connectionTimeoutMs)
      const take = (error: unknown, connection: PoolConnection): void => {
        if (!error && performance.now() - (this.#freeSince.get(connection) ?? Infinity) > this.#idleMs) {
          connection.destroy()
          this.#pool.getConnection(take)
          return
        }
        this.#freeSince.delete(connection)
        clearTimeout(timer)
        if (late) {
          if (!error) connection.release()
        } else if (error) reject(new DatabaseAway({ cause: error }))
        else resolve(connection)
      }
      this.#pool.getConnection(take)
    })
  }

  async #rollBack(connection: PoolConnection): Promise<void> {
    try {
      await new Connection(connection, this.#timeoutMs).write('ROLLBACK')
      connection.release()
    } catch {
      connection.destroy()
    }
  }
}

/**
 * A connection during one call of `run`. It uses the library's callbacks: its promises capture a stack for each query, which costs more
 * than sending the query.
 */
export class Connection {
  readonly #connection: PoolConnection
  readonly #timeoutMs: number

  constructor(connection: PoolConnection, timeoutMs: number) {
    this.#connection = connection
    this.#timeoutMs = timeoutMs
  }

  rows<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    return this.#query(sql, values)
  }

  write(sql: string, values?: readonly unknown[]): Promise<ResultSetHeader> {
    return this.#query(sql, values)
  }

  /**
   * Runs several statements in one round trip, and returns the result of each. The first failure ends it, with the transaction open.
   */
  script<Row>(sql: string): Promise<ScriptResult<Row>[]> {
    return this.#query(sql)
  }

  #query<Result>(sql: string, values?: readonly unknown[]): Promise<Result> {
    return new Promise((resolve, reject) => {
      // With null, the library does not search the SQL for placeholders.
      this.#connection.query(
        { sql, timeout: this.#timeoutMs, values: values ? [...values] : null },
        (error: QueryError | null, result) => {
          if (error) reject(error)
          else resolve(result as Result)
        },
      )
    })
  }
}
