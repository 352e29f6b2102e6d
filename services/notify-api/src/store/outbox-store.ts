import type { OutboxRow } from '../outbox.ts'
import type { Connection, Database } from './database.ts'

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
  async add(channel: string, body: string): Promise<OutboxRow> {
    const { insertId } = await this.#database.run((connection) => insertOutboxRow(connection, channel, body))
    return { outboxId: insertId, channel, body }
  }

  async delete(outboxIds: readonly number[]): Promise<void> {
    await this.#database.run((connection) => deleteRows(connection, outboxIds))
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
      const rows = await connection.rows<OutboxRow>(
        `SELECT outbox_id AS outboxId, channel, body FROM outbox WHERE ${condition} ORDER BY outbox_id LIMIT ${limit} FOR UPDATE SKIP LOCKED`,
        [value],
      )
      if (rows.length === 0) return 0
      // Deleted before they are published: what makes the transaction begin again must not make it publish again.
      const outboxIdsFound = rows.map(({ outboxId }) => outboxId)
      await deleteRows(connection, outboxIdsFound)
      await publish(rows)
      return rows.length
    })
  }
}

/**
 * Row by row along the primary key. For `outbox_id IN (…)` the optimizer prefers a scan in a small table, and a scan waits for rows that
 * others are at.
 */
function deleteRows(connection: Connection, outboxIds: readonly number[]) {
  return connection.write(
    `DELETE o FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT UNSIGNED PATH '$')) AS ids STRAIGHT_JOIN outbox AS o ON o.outbox_id = ids.id`,
    [JSON.stringify(outboxIds)],
  )
}

/** For those who write an outbox row within their own transaction. */
export function insertOutboxRow(connection: Connection, channel: string, body: string) {
  return connection.write('INSERT INTO outbox (channel, body) VALUES (?, ?)', [channel, body])
}
