import type { Connection, Database } from '../database/database.ts'

export interface RetentionLimits {
  readonly days: number
  /** Most rows of one DELETE. */
  readonly batchRows: number
  /** Most DELETEs of each table in one pass. */
  readonly maxBatches: number
}

/** Number of deleted rows by table. */
export type Retired = Readonly<Record<'notification' | 'broadcast_read' | 'idempotency_key' | 'task' | 'revocation', number>>

const idempotencyHours = 24

/** Deletes expired rows in small batches, so that every transaction is short. */
export class RetentionStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Runs one pass. Undefined when another instance is running one. */
  retire({ days, batchRows, maxBatches }: RetentionLimits): Promise<Retired | undefined> {
    return this.#database.run(async (connection) => {
      if (!(await lock(connection))) return undefined
      try {
        const notification = await repeat(maxBatches, batchRows, () => retireNotifications(connection, days, batchRows))
        // After the notifications: a broadcast that lost its read rows first would count as unread again.
        const broadcast_read = await repeat(maxBatches, batchRows, () => retireReads(connection, batchRows))
        const idempotency_key = await repeat(maxBatches, batchRows, () => retireKeys(connection, batchRows))
        const early = await repeat(maxBatches, batchRows, () => retireEarlyCancels(connection, batchRows))
        const task = early + (await repeat(maxBatches, batchRows, () => retireTasks(connection, days, batchRows)))
        const revocation = await repeat(maxBatches, batchRows, () => retireRevocations(connection, batchRows))
        return { notification, broadcast_read, idempotency_key, task, revocation }
      } finally {
        await connection.rows("SELECT RELEASE_LOCK(CONCAT('retention:', LEFT(SHA2(DATABASE(), 256), 32)))")
      }
    })
  }
}

async function repeat(maxBatches: number, batchRows: number, deleteBatch: () => Promise<number>): Promise<number> {
  let total = 0
  for (let batch = 0; batch < maxBatches; batch++) {
    const rows = await deleteBatch()
    total += rows
    if (rows < batchRows) break
  }
  return total
}

async function lock(connection: Connection): Promise<boolean> {
  const [row] = await connection.rows<{ got: number | null }>(
    "SELECT GET_LOCK(CONCAT('retention:', LEFT(SHA2(DATABASE(), 256), 32)), 0) AS got",
  )
  return row?.got === 1
}

/** Deletes notifications. Ids grow with time, so the oldest come first in the primary key: no index on created_at is needed. */
async function retireNotifications(connection: Connection, days: number, rows: number): Promise<number> {
  const [oldest] = await connection.rows<{ upTo: number | null }>(
    `SELECT MAX(notification_id) AS upTo FROM (SELECT notification_id, created_at FROM notification ORDER BY notification_id LIMIT ?) AS oldest
     WHERE created_at < NOW(3) - INTERVAL ? DAY`,
    [rows, days],
  )
  if (!oldest?.upTo) return 0
  const { affectedRows } = await connection.write(
    'DELETE FROM notification WHERE notification_id <= ? AND created_at < NOW(3) - INTERVAL ? DAY',
    [oldest.upTo, days],
  )
  return affectedRows
}

async function retireReads(connection: Connection, rows: number): Promise<number> {
  const { affectedRows } = await connection.write(
    'DELETE FROM broadcast_read WHERE notification_id < (SELECT MIN(notification_id) FROM notification) ORDER BY notification_id LIMIT ?',
    [rows],
  )
  return affectedRows
}

async function retireKeys(connection: Connection, rows: number): Promise<number> {
  const { affectedRows } = await connection.write(
    `DELETE FROM idempotency_key WHERE created_at < NOW(3) - INTERVAL ${idempotencyHours} HOUR ORDER BY created_at LIMIT ?`,
    [rows],
  )
  return affectedRows
}

/** Deletes cancels whose task was not created in time. */
async function retireEarlyCancels(connection: Connection, rows: number): Promise<number> {
  const { affectedRows } = await connection.write(
    'DELETE FROM task WHERE lease_until < NOW(3) AND kind IS NULL ORDER BY lease_until LIMIT ?',
    [rows],
  )
  return affectedRows
}

/** Deletes tasks that have ended. Like notifications, the oldest come first in the primary key. */
async function retireTasks(connection: Connection, days: number, rows: number): Promise<number> {
  const [oldest] = await connection.rows<{ upTo: number | null }>(
    `SELECT MAX(task_number) AS upTo FROM (SELECT task_number, created_at FROM task ORDER BY task_number LIMIT ?) AS oldest
     WHERE created_at < NOW(3) - INTERVAL ? DAY`,
    [rows, days],
  )
  if (!oldest?.upTo) return 0
  const { affectedRows } = await connection.write(
    'DELETE FROM task WHERE task_number <= ? AND lease_until IS NULL AND created_at < NOW(3) - INTERVAL ? DAY',
    [oldest.upTo, days],
  )
  return affectedRows
}

/** Deletes revocations of tokens that have expired. */
async function retireRevocations(connection: Connection, rows: number): Promise<number> {
  const { affectedRows } = await connection.write(
    'DELETE FROM revocation WHERE expires_at < UNIX_TIMESTAMP() ORDER BY expires_at LIMIT ?',
    [rows],
  )
  return affectedRows
}
