import { type MemberId, memberChannel, type ReadMessage, type UnreadCount } from '@tidings/protocol'
import type { OutboxRow } from '../outbox/row.ts'
import type { Connection, Database } from '../database/database.ts'
import { findMember, type MemberKey, storeMember } from '../database/member-key.ts'
import { countUnread } from './inbox-store.ts'
import { insertOutboxRow } from '../outbox/store.ts'
import { allMembers } from './published-body.ts'

/** Result of a change of the read state. */
export interface ReadChange {
  /** The state after the change. */
  readonly state: UnreadCount
  /** The committed event for the member's devices, still to be published; undefined when nothing has changed. */
  readonly event: OutboxRow | undefined
}

/** Most rows that one transaction of a read-all changes. A larger one would hold its locks and its undo log for long. */
const maxRowsPerTransaction = 5_000

/**
 * Marks notifications as read. Each change first locks the member's row and then counts. Of two changes, the one with the greater
 * revision has seen the other, so its count is the valid one, in whichever order their events arrive.
 */
export class ReadStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Marks one notification as read. Undefined when the member has no such notification. */
  async read(memberId: MemberId, notificationId: number): Promise<ReadChange | undefined> {
    const [found] = await this.#database.run(async (connection) => {
      const member = await findMember(connection, memberId)
      return connection.rows<{ owner: number; readAt: Date | null; now: Date }>(
        `SELECT n.member_id AS owner, COALESCE(n.read_at, r.read_at) AS readAt, NOW(3) AS now FROM notification AS n
         LEFT JOIN broadcast_read AS r ON r.member_id = ? AND r.notification_id = n.notification_id
         WHERE n.notification_id = ? AND n.member_id IN (?, ${allMembers})`,
        [member, notificationId, member],
      )
    })
    if (!found) return undefined
    if (found.readAt) return this.#unchanged(memberId)
    return this.#database.transaction(async (connection) => {
      const member = await storeMember(connection, memberId)
      await lockMember(connection, member)
      const { affectedRows } = await (found.owner === allMembers
        ? connection.write('INSERT IGNORE INTO broadcast_read (member_id, notification_id, read_at) VALUES (?)', [
            [member, notificationId, found.now],
          ])
        : connection.write('UPDATE notification SET read_at = ? WHERE notification_id = ? AND read_at IS NULL', [
            found.now,
            notificationId,
          ]))
      const state = await countUnread(connection, member)
      if (affectedRows === 0) return { state, event: undefined } // another request marked it first and published the event
      return {
        state,
        event: await insertEvent(connection, { memberId, notificationId, readAt: found.now.toISOString(), ...state }),
      }
    })
  }

  /** Marks every notification of the member up to and including `upTo` as read. */
  async readAll(memberId: MemberId, upTo: number): Promise<ReadChange> {
    const [newest] = await this.#database.run(async (connection) =>
      connection.rows<{ id: number | null; now: Date }>(
        `SELECT MAX(notification_id) AS id, NOW(3) AS now FROM notification WHERE member_id IN (?, ${allMembers})`,
        [await findMember(connection, memberId)],
      ),
    )
    if (!newest?.id) return this.#unchanged(memberId)
    // Devices apply the event to every notification up to `upTo`, so it must not include future ones.
    const last = Math.min(upTo, newest.id)
    let changed = 0
    for (;;) {
      const done = await this.#database.transaction(async (connection) => {
        const member = await storeMember(connection, memberId)
        await lockMember(connection, member)
        const rows =
          (await readOwn(connection, member, last, newest.now)) + (await readBroadcasts(connection, member, last, newest.now))
        changed += rows
        if (rows >= maxRowsPerTransaction) return undefined
        const state = await countUnread(connection, member)
        if (changed === 0) return { state, event: undefined }
        return {
          state,
          event: await insertEvent(connection, { memberId, upTo: last, readAt: newest.now.toISOString(), ...state }),
        }
      })
      if (done) return done
    }
  }

  async #unchanged(memberId: MemberId): Promise<ReadChange> {
    const state = await this.#database.run(async (connection) => countUnread(connection, await findMember(connection, memberId)))
    return { state, event: undefined }
  }
}

/** Increments the revision, and so takes the lock that every change of the member's read state takes first. */
async function lockMember(connection: Connection, member: MemberKey): Promise<void> {
  await connection.write(
    'INSERT INTO member_state (member_id, revision) VALUES (?, 1) ON DUPLICATE KEY UPDATE revision = revision + 1',
    [member],
  )
}

async function readOwn(connection: Connection, member: MemberKey, upTo: number, now: Date): Promise<number> {
  const { affectedRows } = await connection.write(
    'UPDATE notification SET read_at = ? WHERE member_id = ? AND read_at IS NULL AND notification_id <= ? ORDER BY notification_id LIMIT ?',
    [now, member, upTo, maxRowsPerTransaction],
  )
  return affectedRows
}

async function readBroadcasts(connection: Connection, member: MemberKey, upTo: number, now: Date): Promise<number> {
  const { affectedRows } = await connection.write(
    `INSERT IGNORE INTO broadcast_read (member_id, notification_id, read_at)
     SELECT ?, b.notification_id, ? FROM notification AS b FORCE INDEX (notification_page)
     LEFT JOIN broadcast_read AS r ON r.member_id = ? AND r.notification_id = b.notification_id
     WHERE b.member_id = ${allMembers} AND b.notification_id <= ? AND r.member_id IS NULL LIMIT ?`,
    [member, now, member, upTo, maxRowsPerTransaction],
  )
  return affectedRows
}

function insertEvent(connection: Connection, event: ReadMessage): Promise<OutboxRow> {
  return insertOutboxRow(connection, memberChannel(event.memberId, 'read'), JSON.stringify(event))
}
