import { maxIdsPerReadMessage, type MemberId, memberChannel, type ReadMessage, type UnreadCount } from '@tidings/protocol'
import type { OutboxRow } from '../outbox/row.ts'
import type { Connection, Database } from '../database/database.ts'
import { findMember, type MemberKey, storeMember } from '../database/member-key.ts'
import { countUnread, type Statement } from './inbox-store.ts'
import { insertOutboxRow } from '../outbox/store.ts'
import { allMembers } from './published-body.ts'

/** Result of a change of the read state. */
export interface ReadChange {
  /** The state after the change. */
  readonly state: UnreadCount
  /** The committed event for the member's devices, still to be published; undefined when nothing has changed. */
  readonly event: OutboxRow | undefined
}

/** Result of one step of a read-all. */
export interface ReadAllStep extends ReadChange {
  /** What the step has marked, newest first. */
  readonly notificationIds: readonly number[]
  /** Whether older ones may be left for another step. */
  readonly more: boolean
}

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
        event: await insertReadEvent(connection, {
          memberId,
          notificationIds: [notificationId],
          readAt: found.now.toISOString(),
          ...state,
        }),
      }
    })
  }

  /**
   * Marks the newest unread notifications of the member, up to and including `upTo`, as many as one event names. Only what is committed
   * is marked, and the event names it: a notification whose id is smaller, but which is committed later, stays unread everywhere.
   */
  async readAll(memberId: MemberId, upTo: number): Promise<ReadAllStep> {
    return this.#database.transaction(async (connection) => {
      const member = await storeMember(connection, memberId)
      await lockMember(connection, member)
      const unread = await unreadUpTo(connection, member, upTo)
      const readAt = unread[0]?.now
      if (readAt) await markRead(connection, member, unread, readAt)
      const notificationIds = unread.map(({ notificationId }) => notificationId)
      const state = await countUnread(connection, member)
      const event =
        readAt && (await insertReadEvent(connection, { memberId, notificationIds, readAt: readAt.toISOString(), ...state }))
      return { state, event, notificationIds, more: notificationIds.length === maxIdsPerReadMessage }
    })
  }

  async #unchanged(memberId: MemberId): Promise<ReadChange> {
    const state = await this.#database.run(async (connection) => countUnread(connection, await findMember(connection, memberId)))
    return { state, event: undefined }
  }
}

/** Increments the revision, and so takes the lock that every change of the member's read state takes first. */
export async function lockMember(connection: Connection, member: MemberKey): Promise<void> {
  await connection.write(
    'INSERT INTO member_state (member_id, revision) VALUES (?, 1) ON DUPLICATE KEY UPDATE revision = revision + 1',
    [member],
  )
}

interface UnreadRow {
  readonly notificationId: number
  readonly owner: number
  readonly now: Date
}

/**
 * Returns the newest unread notifications, newest first. These are plain reads: they neither wait for a row that is not committed yet nor
 * return it, as an UPDATE or INSERT … SELECT with the same condition would.
 */
async function unreadUpTo(connection: Connection, member: MemberKey, upTo: number): Promise<readonly UnreadRow[]> {
  const own = await connection.rows<UnreadRow>(...ownUnread(member, upTo))
  const broadcasts = await connection.rows<UnreadRow>(...unreadBroadcasts(member, upTo))
  return [...own, ...broadcasts].toSorted((a, b) => b.notificationId - a.notificationId).slice(0, maxIdsPerReadMessage)
}

/** @internal exported for the test of its query plan */
export function ownUnread(member: MemberKey, upTo: number): Statement {
  return [
    `SELECT n.notification_id AS notificationId, n.member_id AS owner, NOW(3) AS now FROM notification AS n FORCE INDEX (notification_unread)
     WHERE n.member_id = ? AND n.read_at IS NULL AND n.notification_id <= ? ORDER BY n.notification_id DESC LIMIT ?`,
    [member, upTo, maxIdsPerReadMessage],
  ]
}

/** @internal exported for the test of its query plan */
export function unreadBroadcasts(member: MemberKey, upTo: number): Statement {
  return [
    `SELECT n.notification_id AS notificationId, n.member_id AS owner, NOW(3) AS now FROM notification AS n FORCE INDEX (notification_page)
     LEFT JOIN broadcast_read AS r ON r.member_id = ? AND r.notification_id = n.notification_id
     WHERE n.member_id = ${allMembers} AND n.notification_id <= ? AND r.member_id IS NULL
     ORDER BY n.notification_id DESC LIMIT ?`,
    [member, upTo, maxIdsPerReadMessage],
  ]
}

async function markRead(connection: Connection, member: MemberKey, rows: readonly UnreadRow[], readAt: Date): Promise<void> {
  const idsOf = (its: (row: UnreadRow) => boolean) => rows.filter(its).map(({ notificationId }) => notificationId)
  const own = idsOf(({ owner }) => owner !== allMembers)
  const broadcasts = idsOf(({ owner }) => owner === allMembers)
  // By primary key: a scan would wait for rows that are not committed yet.
  if (own.length > 0) {
    await connection.write(
      'UPDATE notification FORCE INDEX (PRIMARY) SET read_at = ? WHERE notification_id IN (?) AND read_at IS NULL',
      [readAt, own],
    )
  }
  if (broadcasts.length > 0) {
    await connection.write('INSERT IGNORE INTO broadcast_read (member_id, notification_id, read_at) VALUES ?', [
      broadcasts.map((notificationId) => [member, notificationId, readAt]),
    ])
  }
}

/** Inserts the event into the outbox, within the caller's transaction. */
export function insertReadEvent(connection: Connection, event: ReadMessage): Promise<OutboxRow> {
  return insertOutboxRow(connection, memberChannel(event.memberId, 'read'), JSON.stringify(event))
}
