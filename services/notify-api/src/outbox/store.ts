import type { OutboxRow } from './outbox.ts'
import type { Connection, Database } from '../database/database.ts'
import { bodyEndOf, bodyOf, channelOf } from '../notification/write-group.ts'

export interface OutboxBacklog {
  /** Counted up to a bound: a long outage must not make counting the work. */
  readonly depth: number
  readonly oldestAgeMs: number
}

const maxCounted = 100_000

/** Rows that were committed and are not yet known to be published. */
export class OutboxStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Commits one message that belongs to no notification. */
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
   * Gives `publish` at most `limit` rows, oldest first, of those older than `graceMs` or among `outboxIds`, and deletes them if it
   * resolves; if it rejects, none is deleted. Rows that another instance is at are passed over. Answers how many there were.
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
      // Locked until the commit: no second sweep publishes them, and a crash in between gives them back.
      const rows = await connection.rows<StoredRow>(
        `SELECT outbox_id AS outboxId, notification_id AS notificationId, channel, body FROM outbox
         WHERE ${condition} ORDER BY outbox_id LIMIT ${limit} FOR UPDATE SKIP LOCKED`,
        [value],
      )
      if (rows.length === 0) return 0
      const publications = await withBodies(connection, rows)
      // Deleted before they are published: what makes the transaction begin again must not make it publish again.
      const outboxIdsFound = rows.map(({ outboxId }) => outboxId)
      await deleteRows(connection, outboxIdsFound)
      await publish(publications)
      return rows.length
    })
  }
}

/** `channel` and `body` are null in the row of a notification. */
interface StoredRow {
  readonly outboxId: number
  readonly notificationId: number | null
  readonly channel: string | null
  readonly body: string | null
}

interface StoredNotification {
  readonly notificationId: number
  readonly memberId: number
  readonly message: string
  readonly redirectPath: string
  /** JSON text. */
  readonly data: string | null
}

/** What is to be published for these rows, in their order. There is nothing for a notification that its retention has deleted. */
async function withBodies(connection: Connection, rows: readonly StoredRow[]): Promise<OutboxRow[]> {
  const ids = rows.flatMap(({ notificationId }) => notificationId ?? [])
  const found =
    ids.length === 0
      ? []
      : await connection.rows<StoredNotification>(
          `SELECT notification_id AS notificationId, member_id AS memberId, message, redirect_path AS redirectPath, data
           FROM notification WHERE notification_id IN (?)`,
          [ids],
        )
  const notifications = new Map(found.map((notification) => [notification.notificationId, notification]))
  return rows.flatMap(({ outboxId, notificationId, channel, body }) => {
    if (channel !== null && body !== null) return { outboxId, channel, body }
    const notification = notificationId === null ? undefined : notifications.get(notificationId)
    if (!notification) return []
    const { memberId, message, redirectPath, data } = notification
    const bodyEnd = bodyEndOf(message, redirectPath, data)
    return { outboxId, channel: channelOf(memberId), body: bodyOf(memberId, notification.notificationId, bodyEnd) }
  })
}

/** @internal for the test of its plan */
export const deleteRange = 'DELETE FROM outbox WHERE outbox_id BETWEEN ? AND ?'

/**
 * Rows that were committed together have ids that follow each other, and go as one range. One statement for each range: of several, as
 * of `outbox_id IN (…)`, the optimizer makes a scan in a small table, and a scan waits for rows that others are at.
 */
async function deleteRows(connection: Connection, outboxIds: readonly number[]): Promise<void> {
  for (const run of runsOf(outboxIds)) await connection.write(deleteRange, run)
}

/** The first and last of each run of whole numbers without a gap. */
function runsOf(numbers: readonly number[]): [first: number, last: number][] {
  const runs: [number, number][] = []
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run && number === run[1] + 1) run[1] = number
    else runs.push([number, number])
  }
  return runs
}

/** For those who write an outbox row within their own transaction. */
export async function insertOutboxRow(connection: Connection, channel: string, body: string): Promise<OutboxRow> {
  const { insertId } = await connection.write('INSERT INTO outbox (channel, body) VALUES (?, ?)', [channel, body])
  return { outboxId: insertId, channel, body }
}
