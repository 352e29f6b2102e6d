import { createPool } from 'mysql2'
import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import { DatabaseAway, isAway, isTransient } from './database-error.ts'

export interface DatabaseOptions {
  readonly connections: number
  /** Longest time for one statement; a connection is waited for at most half as long. */
  readonly timeoutMs: number
  /** Lets `script` send several statements in one round trip. Only for SQL whose every value is escaped. */
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

/** Connections to MySQL or MariaDB. Every wait ends: when the database does not answer in time the work rejects with DatabaseAway. */
export class Database {
  readonly #pool: Pool
  readonly #timeoutMs: number

  constructor(url: string, { connections, timeoutMs, scripts = false }: DatabaseOptions) {
    this.#timeoutMs = timeoutMs
    const pool = createPool({
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
    pool.on('connection', (connection) => {
      for (const sql of sessionSettings) {
        connection.query(sql, (error: Error | null) => error && connection.destroy())
      }
    })
    this.#pool = pool.promise()
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

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #acquire(): Promise<PoolConnection> {
    const pending = this.#pool.getConnection()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('no connection in time')), this.#timeoutMs / 2)
    })
    try {
      return await Promise.race([pending, late])
    } catch (error) {
      pending.then(
        (connection) => connection.release(),
        () => {},
      )
      throw new DatabaseAway({ cause: error })
    } finally {
      clearTimeout(timer)
    }
  }

  async #rollBack(connection: PoolConnection): Promise<void> {
    try {
      await connection.query({ sql: 'ROLLBACK', timeout: this.#timeoutMs })
      connection.release()
    } catch {
      connection.destroy()
    }
  }
}

/** One connection for the time of one piece of work. */
export class Connection {
  readonly #connection: PoolConnection
  readonly #timeoutMs: number

  constructor(connection: PoolConnection, timeoutMs: number) {
    this.#connection = connection
    this.#timeoutMs = timeoutMs
  }

  async rows<Row>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const [rows] = await this.#connection.query<RowDataPacket[]>({ sql, timeout: this.#timeoutMs, values: [...values] })
    return rows as Row[]
  }

  async write(sql: string, values: readonly unknown[] = []): Promise<ResultSetHeader> {
    const [header] = await this.#connection.query<ResultSetHeader>({ sql, timeout: this.#timeoutMs, values: [...values] })
    return header
  }

  /** Several statements in one round trip; one header for each. The first that fails ends it, with the transaction still open. */
  async script(sql: string): Promise<ResultSetHeader[]> {
    const [headers] = await this.#connection.query<ResultSetHeader[]>({ sql, timeout: this.#timeoutMs })
    return headers
  }
}
