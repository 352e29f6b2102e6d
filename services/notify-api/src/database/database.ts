import { createPool, type Pool, type PoolConnection, type QueryError, type ResultSetHeader } from 'mysql2'
import { DatabaseAway, isAway, isTransient } from './error.ts'

export interface DatabaseOptions {
  readonly connections: number
  /** Longest time for one statement; a connection is waited for at most half as long. */
  readonly timeoutMs: number
  /**
   * Lets `script` send several statements in one round trip, with the transaction already begun. Only for SQL whose every value is
   * escaped.
   */
  readonly scripts?: boolean
}

const maxWaitingForConnection = 1_000
const lockWaitSeconds = 2
const maxAttempts = 3

// The escaping of values relies on backslashes, and durations in SQL on UTC: neither may depend on how a server is set up.
const sessionSettings = [
  `SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = ${lockWaitSeconds}`,
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
]

// Each script is a transaction: it begins by itself and ends with its COMMIT, which spares a statement.
const implicitTransactions = 'SET SESSION autocommit = 0'

/** Connections to MySQL or MariaDB. Every wait ends: when the database does not answer in time the work rejects with DatabaseAway. */
export class Database {
  readonly #pool: Pool
  readonly #timeoutMs: number

  constructor(url: string, { connections, timeoutMs, scripts = false }: DatabaseOptions) {
    this.#timeoutMs = timeoutMs
    this.#pool = createPool({
      uri: url,
      connectionLimit: connections,
      queueLimit: maxWaitingForConnection,
      connectTimeout: timeoutMs / 2,
      multipleStatements: scripts,
      timezone: 'Z',
      supportBigNumbers: true,
      // MariaDB makes a DECIMAL of expressions over BIGINT UNSIGNED.
      decimalNumbers: true,
      jsonStrings: true,
    })
    this.#pool.on('connection', (connection) => {
      for (const sql of scripts ? [...sessionSettings, implicitTransactions] : sessionSettings) {
        connection.query(sql, (error) => error && connection.destroy())
      }
    })
  }

  /** Does `work` on one connection. When it fails, nothing it began stays open. */
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

  /** Like `run`, in one transaction; `work` is done again when the transaction loses a deadlock. */
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

  async ping(): Promise<void> {
    await this.run((connection) => connection.rows('SELECT 1'))
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
      }, this.#timeoutMs / 2)
      this.#pool.getConnection((error, connection) => {
        clearTimeout(timer)
        if (late) return error ?? connection.release()
        if (error) return reject(new DatabaseAway({ cause: error }))
        return resolve(connection)
      })
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
 * One connection for the time of one piece of work. Over the library's callbacks: its promises capture a stack for each query, which
 * costs more than sending one.
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

  /** Several statements in one round trip; one header for each. The first that fails ends it, with the transaction still open. */
  script(sql: string): Promise<ResultSetHeader[]> {
    return this.#query(sql)
  }

  #query<Result>(sql: string, values?: readonly unknown[]): Promise<Result> {
    return new Promise((resolve, reject) => {
      // With null the SQL is not searched for places to put values.
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
