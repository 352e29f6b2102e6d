import { memberChannel, type ReadMessage, type UnreadCount } from '@tidings/protocol'
import type { OutboxRow } from '../outbox/outbox.ts'
import type { Connection, Database } from '../database/database.ts'
import { countUnread } from './inbox-store.ts'
import { insertOutboxRow } from '../outbox/store.ts'
import { everybody } from './write-group.ts'

/** The read state afterwards, and the event for the member's devices when something has changed. */
export interface ReadChange {
  readonly state: UnreadCount
  readonly event: OutboxRow | undefined
}

/** Rows that one transaction of a read-all may change: a long one would hold its locks and its undo log as long. */
const maxRowsPerTransaction = 5_000

/**
 * Marks as read. Each change locks the member's row first and takes the count after: of two changes the one with the greater revision
 * has seen the other, so its count holds, in whatever order their events arrive.
 */
export class ReadStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Undefined when the member has no such notification. */
  async read(memberId: number, notificationId: number): Promise<ReadChange | undefined> {
    const [found] = await this.#database.run((connection) =>
      connection.rows<{ owner: number; readAt: Date | null; now: Date }>(
        `SELECT n.member_id AS owner, COALESCE(n.read_at, r.read_at) AS readAt, NOW(3) AS now FROM notification AS n
         LEFT JOIN broadcast_read AS r ON r.member_id = ? AND r.notification_id = n.notification_id
         WHERE n.notification_id = ? AND n.member_id IN (?, ${everybody})`,
        [memberId, notificationId, memberId],
      ),
    )
    if (!found) return undefined
    if (found.readAt) return this.#unchanged(memberId)
    return this.#database.transaction(async (connection) => {
      await advance(connection, memberId)
      const { affectedRows } = await (found.owner === everybody
        ? connection.write('INSERT IGNORE INTO broadcast_read (member_id, notification_id, read_at) VALUES (?)', [
            [memberId, notificationId, found.now],
          ])
        : connection.write('UPDATE notification SET read_at = ? WHERE notification_id = ? AND read_at IS NULL', [
            found.now,
            notificationId,
          ]))
      const state = await countUnread(connection, memberId)
      if (affectedRows === 0) return { state, event: undefined } // somebody else was faster, and has told
      return { state, event: await tell(connection, { memberId, notificationId, readAt: found.now.toISOString(), ...state }) }
    })
  }

  /** Everything of the member up to and including `upTo`. */
  async readAll(memberId: number, upTo: number): Promise<ReadChange> {
    const [newest] = await this.#database.run((connection) =>
      connection.rows<{ id: number | null; now: Date }>(
        `SELECT MAX(notification_id) AS id, NOW(3) AS now FROM notification WHERE member_id IN (?, ${everybody})`,
        [memberId],
      ),
    )
    if (!newest?.id) return this.#unchanged(memberId)
    // Devices take the event to mean all up to there: it must not reach into the future.
    const last = Math.min(upTo, newest.id)
    let changed = 0
    for (;;) {
      const done = await this.#database.transaction(async (connection) => {
        await advance(connection, memberId)
        const rows =
          (await readOwn(connection, memberId, last, newest.now)) + (await readBroadcasts(connection, memberId, last, newest.now))
        changed += rows
        if (rows >= maxRowsPerTransaction) return undefined
        const state = await countUnread(connection, memberId)
        if (changed === 0) return { state, event: undefined }
        return { state, event: await tell(connection, { memberId, upTo: last, readAt: newest.now.toISOString(), ...state }) }
      })
      if (done) return done
    }
  }

  async #unchanged(memberId: number): Promise<ReadChange> {
    return { state: await this.#database.run((connection) => countUnread(connection, memberId)), event: undefined }
  }
}

/** Takes the lock that all changes of one member's read state take first. */
async function advance(connection: Connection, memberId: number): Promise<void> {
  await connection.write(
    'INSERT INTO member_state (member_id, revision) VALUES (?, 1) ON DUPLICATE KEY UPDATE revision = revision + 1',
    [memberId],
  )
}

async function readOwn(connection: Connection, memberId: number, upTo: number, now: Date): Promise<number> {
  const { affectedRows } = await connection.write(
    'UPDATE notification SET read_at = ? WHERE member_id = ? AND read_at IS NULL AND notification_id <= ? ORDER BY notification_id LIMIT ?',
    [now, memberId, upTo, maxRowsPerTransaction],
  )
  return affectedRows
}

async function readBroadcasts(connection: Connection, memberId: number, upTo: number, now: Date): Promise<number> {
  const { affectedRows } = await connection.write(
    `INSERT IGNORE INTO broadcast_read (member_id, notification_id, read_at)
     SELECT ?, b.notification_id, ? FROM notification AS b FORCE INDEX (notification_page)
     LEFT JOIN broadcast_read AS r ON r.member_id = ? AND r.notification_id = b.notification_id
     WHERE b.member_id = ${everybody} AND b.notification_id <= ? AND r.member_id IS NULL LIMIT ?`,
    [memberId, now, memberId, upTo, maxRowsPerTransaction],
  )
  return affectedRows
}

function tell(connection: Connection, event: ReadMessage): Promise<OutboxRow> {
  return insertOutboxRow(connection, memberChannel(event.memberId, 'read'), JSON.stringify(event))
}
