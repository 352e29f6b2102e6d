import { tracedBody } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import { memberIdOf, type StoredMember, textIdColumn } from '../database/member-key.ts'
import { bodyEndOf, bodyOf, channelOf, type PublishedContent } from '../notification/published-body.ts'
import type { OutboxRow } from './row.ts'

export interface OutboxBacklog {
  /** Rows, counted up to 100,000: after a long outage counting must stay cheap. */
  readonly depth: number
  readonly oldestAgeMs: number
  /** Rows of the channels that Redis refuses, counted likewise. */
  readonly parked: number
}

/** A row that is left to the sweep. */
export interface Deferral {
  readonly outboxId: number
  readonly channel: string
  /** Set when Redis refuses the row. */
  readonly reason?: string
}

/** A channel with deferred rows. */
export interface DeferredChannel {
  readonly channel: string
  /** Number of times that Redis has refused the first row. */
  readonly attempts: number
  /** True when the rows may be published now. */
  readonly due: boolean
  /** Distance between the ids of the first and the last row. */
  readonly span: number
}

export interface DeferredPage {
  /** In the order of their ids. */
  readonly rows: readonly OutboxRow[]
  /** Ids of rows that were published before, and of those whose notification retention has deleted. */
  readonly obsolete: readonly number[]
}

/** Wait before the second attempt at a refused row; it doubles with each attempt, up to {@link maxRetryMs}. */
const firstRetryMs = 1_000
const maxRetryMs = 15_000
/** Length of the column. */
const maxReasonLength = 1_000
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
    await this.#database.run((connection) => connection.write(deletion('outbox', outboxIds)))
  }

  async backlog(): Promise<OutboxBacklog> {
    const [row] = await this.#database.run((connection) =>
      connection.rows<OutboxBacklog>(
        `SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM outbox LIMIT ${maxCounted}) AS counted) AS depth,
           COALESCE((SELECT TIMESTAMPDIFF(MICROSECOND, created_at, NOW(3)) DIV 1000 FROM outbox ORDER BY outbox_id LIMIT 1), 0) AS oldestAgeMs,
           (SELECT COUNT(*) FROM (
             SELECT 1 FROM outbox_deferred
             WHERE channel IN (SELECT refused.channel FROM outbox_deferred AS refused WHERE refused.attempts > 0) LIMIT ${maxCounted}
           ) AS counted_parked) AS parked`,
      ),
    )
    return row ?? { depth: 0, oldestAgeMs: 0, parked: 0 }
  }

  /** Leaves rows to the sweep. */
  async defer(rows: readonly Deferral[]): Promise<void> {
    const values = rows.flatMap(({ outboxId, channel, reason }) => {
      const refused = reason !== undefined
      return [outboxId, channel, refused ? 1 : 0, reason?.slice(0, maxReasonLength) ?? null, refused ? firstRetryMs * 1_000 : 0]
    })
    const marks = rows.map(() => '(?, ?, ?, ?, NOW(3) + INTERVAL ? MICROSECOND)').join(', ')
    await this.#database.run((connection) =>
      connection.write(
        `INSERT IGNORE INTO outbox_deferred (outbox_id, channel, attempts, reason, due_at) VALUES ${marks}`,
        values,
      ),
    )
  }

  /** Leaves rows to the sweep that are older than `ageMs`: their instance has not published them. Returns how many. */
  async deferOld(ageMs: number, limit: number): Promise<number> {
    const rows = await this.#database.run((connection) =>
      connection.rows<{ outboxId: number; channel: string | null; memberId: number | string | null; textId: string | null }>(
        `SELECT o.outbox_id AS outboxId, o.channel, n.member_id AS memberId, ${textIdColumn} FROM outbox AS o
         LEFT JOIN outbox_deferred AS d ON d.outbox_id = o.outbox_id
         LEFT JOIN notification AS n ON n.notification_id = o.notification_id
         WHERE d.outbox_id IS NULL AND o.created_at < NOW(3) - INTERVAL ? MICROSECOND ORDER BY o.outbox_id LIMIT ${limit}`,
        [ageMs * 1_000],
      ),
    )
    const deferrals = rows.flatMap(({ outboxId, channel, memberId, textId }) => {
      const name = channel ?? (memberId === null ? undefined : channelOf(memberIdOf({ memberId, textId })))
      return name === undefined ? [] : { outboxId, channel: name }
    })
    const deferred = new Set(deferrals.map(({ outboxId }) => outboxId))
    const obsolete = rows.map(({ outboxId }) => outboxId).filter((outboxId) => !deferred.has(outboxId))
    if (deferrals.length > 0) await this.defer(deferrals)
    if (obsolete.length > 0) await this.delete(obsolete)
    return rows.length
  }

  /** Leaves the rows of these notifications to the sweep, if they are not published yet. */
  async deferNotifications(notificationIds: readonly number[], channels: readonly string[]): Promise<void> {
    const rows = await this.#database.run((connection) =>
      connection.rows<{ outboxId: number; notificationId: number }>(
        'SELECT outbox_id AS outboxId, notification_id AS notificationId FROM outbox WHERE notification_id IN (?)',
        [notificationIds],
      ),
    )
    const deferrals = rows.map(({ outboxId, notificationId }) => ({
      outboxId,
      channel: channels[notificationIds.indexOf(notificationId)] as string,
    }))
    if (deferrals.length > 0) await this.defer(deferrals)
  }

  /** Returns whether no channel has deferred rows. */
  async noneDeferred(): Promise<boolean> {
    return (await this.#database.run((connection) => connection.rows(anyDeferred))).length === 0
  }

  /** Returns those of the channels that have deferred rows. */
  deferredAmong(channels: readonly string[]): Promise<DeferredChannel[]> {
    return this.#deferredChannels('WHERE channel IN (?) GROUP BY channel', [channels])
  }

  /** Returns channels with deferred rows, in the order of their names, from the first one after `after`. */
  deferredAfter(after: string, limit: number): Promise<DeferredChannel[]> {
    return this.#deferredChannels(`WHERE channel > ? GROUP BY channel ORDER BY channel LIMIT ${limit}`, [after])
  }

  async #deferredChannels(condition: string, values: readonly unknown[]): Promise<DeferredChannel[]> {
    const rows = await this.#database.run((connection) =>
      connection.rows<Omit<DeferredChannel, 'due'> & { due: number }>(
        `SELECT d.channel, d.attempts, d.due_at <= NOW(3) AS due, last - first AS span FROM (
           SELECT MIN(outbox_id) AS first, MAX(outbox_id) AS last FROM outbox_deferred ${condition}
         ) AS ends JOIN outbox_deferred AS d ON d.outbox_id = first ORDER BY d.channel`,
        values,
      ),
    )
    return rows.map(({ channel, attempts, due, span }) => ({ channel, attempts, due: due === 1, span }))
  }

  /** Returns the first `limit` deferred rows of each channel. */
  deferredRows(channels: readonly string[], limit: number): Promise<DeferredPage> {
    return this.#database.run(async (connection) => {
      const ofChannel = `(SELECT d.outbox_id AS deferredId, o.outbox_id AS outboxId, o.notification_id AS notificationId, o.channel, o.body
        FROM outbox_deferred AS d LEFT JOIN outbox AS o ON o.outbox_id = d.outbox_id
        WHERE d.channel = ? ORDER BY d.outbox_id LIMIT ${limit})`
      const found = await connection.rows<StoredRow & { deferredId: number; outboxId: number | null }>(
        channels.map(() => ofChannel).join(' UNION ALL '),
        channels,
      )
      const stored = found.filter(({ outboxId }) => outboxId !== null).toSorted((a, b) => a.outboxId - b.outboxId)
      const rows = await withBodies(connection, stored)
      const kept = new Set(rows.map(({ outboxId }) => outboxId))
      return { rows, obsolete: found.map(({ deferredId }) => deferredId).filter((id) => !kept.has(id)) }
    })
  }

  /** Records that Redis has refused a deferred row again. */
  async postpone(outboxId: number, reason: string): Promise<void> {
    await this.#database.run((connection) =>
      connection.write(
        `UPDATE outbox_deferred SET reason = ?, attempts = attempts + 1,
           due_at = NOW(3) + INTERVAL LEAST(?, ? * POW(2, LEAST(attempts - 1, 16))) * 1000 MICROSECOND
         WHERE outbox_id = ?`,
        [reason.slice(0, maxReasonLength), maxRetryMs, firstRetryMs, outboxId],
      ),
    )
  }

  /** Deletes rows with their deferrals. */
  async deleteDeferred(outboxIds: readonly number[]): Promise<void> {
    await this.#database.run(async (connection) => {
      await connection.write(deletion('outbox', outboxIds))
      // A deferral whose row is missing is obsolete.
      await connection.write(deletion('outbox_deferred', outboxIds))
    })
  }
}

/** Returns a row if any channel has deferred rows. */
export const anyDeferred = 'SELECT 1 FROM outbox_deferred LIMIT 1'

/** In the row of a notification, `channel` is null, and `body` is the `traceparent` of its request, or null; unless it replaces another one. */
interface StoredRow {
  readonly outboxId: number
  readonly notificationId: number | null
  readonly channel: string | null
  readonly body: string | null
}

interface StoredNotification extends StoredMember, Omit<PublishedContent, 'expiresAt'> {
  readonly notificationId: number
  readonly expiresAt: Date | null
}

/** Returns these rows with their channels and bodies, in their order, without rows of notifications that retention has deleted. */
async function withBodies(connection: Connection, rows: readonly StoredRow[]): Promise<OutboxRow[]> {
  const ids = rows.flatMap(({ notificationId }) => notificationId ?? [])
  const found =
    ids.length === 0
      ? []
      : await connection.rows<StoredNotification>(
          `SELECT notification_id AS notificationId, member_id AS memberId, ${textIdColumn}, message, redirect_path AS redirectPath, data,
             kind, expires_at AS expiresAt
           FROM notification WHERE notification_id IN (?)`,
          [ids],
        )
  const notifications = new Map(found.map((notification) => [notification.notificationId, notification]))
  return rows.flatMap(({ outboxId, notificationId, channel, body }) => {
    if (channel !== null && body !== null) return { outboxId, channel, body }
    const notification = notificationId === null ? undefined : notifications.get(notificationId)
    if (!notification) return []
    const memberId = memberIdOf(notification)
    const bodyEnd = bodyEndOf({ ...notification, expiresAt: notification.expiresAt?.toISOString() })
    const published = bodyOf(memberId, notification.notificationId, bodyEnd)
    return { outboxId, channel: channelOf(memberId), body: tracedBody(body ?? undefined, published) }
  })
}

/**
 * Returns the statement that deletes these rows of a table. It is one statement, since a process that vanishes between the statements of a
 * transaction leaves rows locked. It is a join, since for `outbox_id IN (…)` the optimizer scans a small table, and a scan waits for rows
 * locked by others.
 *
 * @internal exported for the test of its query plan
 */
export function deletion(table: 'outbox' | 'outbox_deferred', outboxIds: readonly number[]): string {
  const ids = outboxIds.map((outboxId) => `SELECT ${outboxId} AS id`).join(' UNION ALL ')
  return `DELETE deleted FROM (${ids}) AS ids STRAIGHT_JOIN ${table} AS deleted ON deleted.outbox_id = ids.id`
}

/** Inserts a row within the caller's transaction, that of a notification if it has an id. The caller publishes it after the commit. */
export async function insertOutboxRow(
  connection: Connection,
  channel: string,
  body: string,
  notificationId: number | null = null,
): Promise<OutboxRow> {
  const { insertId } = await connection.write('INSERT INTO outbox (notification_id, channel, body) VALUES (?, ?, ?)', [
    notificationId,
    channel,
    body,
  ])
  return { outboxId: insertId, channel, body }
}
