import type { Connection, Database } from '../database/database.ts'
import { memberIdOf, type StoredMember, textIdColumn } from '../database/member-key.ts'
import { bodyEndOf, bodyOf, channelOf } from '../notification/published-body.ts'
import type { OutboxRow } from './row.ts'

export interface OutboxBacklog {
  /** Rows, counted up to 100,000: after a long outage counting must stay cheap. */
  readonly depth: number
  readonly oldestAgeMs: number
}

const maxCounted = 100_000

/** The table of messages that are committed and not yet known to be published. */
export class OutboxStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Commits a message that belongs to no notification. The caller publishes the returned row. */
  add(channel: string, body: string): Promise<OutboxRow> {
    return this.#database.run((connection) => insertOutboxRow(connection, channel, body))
  }

  async delete(outboxIds: readonly number[]): Promise<void> {
    await this.#database.transaction((connection) => deleteRows(connection, outboxIds))
  }

  async backlog(): Promise<OutboxBacklog> {
    const [row] = await this.#database.run((connection) =>
      connection.rows<OutboxBacklog>(
        `SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM outbox LIMIT ${maxCounted}) AS counted) AS depth,
           COALESCE((SELECT TIMESTAMPDIFF(MICROSECOND, created_at, NOW(3)) DIV 1000 FROM outbox ORDER BY outbox_id LIMIT 1), 0) AS oldestAgeMs`,
      ),
    )
    return row ?? { depth: 0, oldestAgeMs: 0 }
  }

  /**
   * Calls `publish` with at most `limit` rows, oldest first, that are older than `graceMs` or among `outboxIds`. Deletes them when it
   * resolves, and none of them when it rejects. Rows locked by another instance are skipped. Returns the number of rows found.
   */
  async sweep(
    { graceMs, outboxIds, limit }: { graceMs?: number; outboxIds?: readonly number[]; limit: number },
    publish: (rows: readonly OutboxRow[]) => Promise<void>,
  ): Promise<number> {
    const [condition, value] =
      outboxIds === undefined
        ? ['created_at < NOW(3) - INTERVAL ? MICROSECOND', (graceMs ?? 0) * 1_000]
        : ['outbox_id IN (?)', outboxIds]
    return this.#database.transaction(async (connection) => {
      // Locked until the commit: no other sweep publishes them, and a crash in between releases them.
      const rows = await connection.rows<StoredRow>(
        `SELECT outbox_id AS outboxId, notification_id AS notificationId, channel, body FROM outbox
         WHERE ${condition} ORDER BY outbox_id LIMIT ${limit} FOR UPDATE SKIP LOCKED`,
        [value],
      )
      if (rows.length === 0) return 0
      const publications = await withBodies(connection, rows)
      // Deleted before they are published: a deadlock that restarts the transaction must not publish twice.
      const outboxIdsFound = rows.map(({ outboxId }) => outboxId)
      await deleteRows(connection, outboxIdsFound)
      await publish(publications)
      return rows.length
    })
  }
}

/** In the row of a notification, `channel` and `body` are null. */
interface StoredRow {
  readonly outboxId: number
  readonly notificationId: number | null
  readonly channel: string | null
  readonly body: string | null
}

interface StoredNotification extends StoredMember {
  readonly notificationId: number
  readonly message: string
  readonly redirectPath: string
  /** JSON text. */
  readonly data: string | null
}

/** Returns these rows with their channels and bodies, in their order, without rows of notifications that retention has deleted. */
async function withBodies(connection: Connection, rows: readonly StoredRow[]): Promise<OutboxRow[]> {
  const ids = rows.flatMap(({ notificationId }) => notificationId ?? [])
  const found =
    ids.length === 0
      ? []
      : await connection.rows<StoredNotification>(
          `SELECT notification_id AS notificationId, member_id AS memberId, ${textIdColumn}, message, redirect_path AS redirectPath, data
           FROM notification WHERE notification_id IN (?)`,
          [ids],
        )
  const notifications = new Map(found.map((notification) => [notification.notificationId, notification]))
  return rows.flatMap(({ outboxId, notificationId, channel, body }) => {
    if (channel !== null && body !== null) return { outboxId, channel, body }
    const notification = notificationId === null ? undefined : notifications.get(notificationId)
    if (!notification) return []
    const { message, redirectPath, data } = notification
    const memberId = memberIdOf(notification)
    const bodyEnd = bodyEndOf(message, redirectPath, data)
    return { outboxId, channel: channelOf(memberId), body: bodyOf(memberId, notification.notificationId, bodyEnd) }
  })
}

/** @internal exported for the test of its query plan */
export const deleteRange = 'DELETE FROM outbox WHERE outbox_id BETWEEN ? AND ?'

/**
 * Deletes rows by ranges of consecutive ids, since rows committed together have consecutive ids. Each range has a statement of its own:
 * for several ranges, as for `outbox_id IN (…)`, the optimizer scans a small table, and a scan waits for rows locked by others.
 */
async function deleteRows(connection: Connection, outboxIds: readonly number[]): Promise<void> {
  for (const run of runsOf(outboxIds)) await connection.write(deleteRange, run)
}

/** Returns the first and last number of each run of consecutive integers. */
function runsOf(numbers: readonly number[]): [first: number, last: number][] {
  const runs: [number, number][] = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run && number === run[1] + 1) run[1] = number
    else runs.push([number, number])
  }
  return runs
}

/** Inserts a row within the caller's transaction. The caller publishes it after the commit. */
export async function insertOutboxRow(connection: Connection, channel: string, body: string): Promise<OutboxRow> {
  const { insertId } = await connection.write('INSERT INTO outbox (channel, body) VALUES (?, ?)', [channel, body])
  return { outboxId: insertId, channel, body }
}
