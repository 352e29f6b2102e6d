import { maxIdsPerReadMessage, type MemberId, memberChannel, type ReadMessage, type UnreadCount } from '@tidings/protocol'
import type { OutboxRow } from '../outbox/row.ts'
import type { Connection, Database } from '../database/database.ts'
import { findMember, memberIdOf, type MemberKey, type StoredMember, textIdColumn } from '../database/member-key.ts'
import { type InboxChange, inboxChanges, type StoredState } from './inbox-change.ts'
import type { InboxMember, InboxMembers } from './inbox-member.ts'
import { broadcastMarks, countUnread, notExpired, ofInbox, type Statement } from './inbox-store.ts'
import { insertOutboxRow } from '../outbox/store.ts'
import { allMembers, channelOf } from './published-body.ts'

/** Result of a change of the inbox. */
export interface ReadChange {
  /** The state after the change. */
  readonly state: UnreadCount
  /** The committed event for the member's devices, still to be published; undefined when nothing has changed. */
  readonly event: OutboxRow | undefined
}

/** Result of one step of a mark of many notifications. */
export interface MarkStep extends ReadChange {
  /** What the step has marked, newest first. */
  readonly notificationIds: readonly number[]
  /** Whether older ones may be left for another step. */
  readonly more: boolean
}

/** Marks unread notifications up to and including `upTo`. */
export interface Mark {
  readonly as: 'seen' | 'read'
  readonly upTo: number
  /** Only notifications of this kind. */
  readonly kind?: string | undefined
}

/**
 * Changes the states of notifications of one member. Each change first locks the member's row and then counts. Of two changes, the one with
 * the greater revision has seen the other, so its count is the valid one, in whichever order their events arrive.
 */
export class ReadStore {
  readonly #database: Database
  readonly #members: InboxMembers

  constructor(database: Database, members: InboxMembers) {
    this.#database = database
    this.#members = members
  }

  /** Changes one notification. Undefined when the member has no such notification. Without a change, it takes no lock. */
  async change(memberId: MemberId, notificationId: number, change: InboxChange): Promise<ReadChange | undefined> {
    const { isDone, write, eventOf } = inboxChanges[change]
    const found = await this.#database.run(async (connection) =>
      storedState(connection, await this.#members.see(connection, memberId), notificationId),
    )
    if (!found) return change === 'remove' ? this.#unchanged(memberId) : undefined
    if (isDone(found)) return this.#unchanged(memberId)
    return this.#database.transaction(async (connection) => {
      const member = await this.#members.see(connection, memberId)
      await lockMember(connection, member.key)
      const stored = await storedState(connection, member, notificationId)
      const changed = stored && !isDone(stored) && (await write(connection, member.key, stored))
      const state = await countUnread(connection, member)
      // Otherwise another request has changed it first, and published the event.
      const event = changed ? await insertReadEvent(connection, { memberId, ...eventOf(stored), ...state }) : undefined
      return { state, event }
    })
  }

  /**
   * Marks the newest unread notifications of the member, as many as one event names. Only what is committed is marked, and the event names
   * it: a notification whose id is smaller, but which is committed later, stays as it is everywhere.
   */
  async mark(memberId: MemberId, mark: Mark): Promise<MarkStep> {
    return this.#database.transaction(async (connection) => {
      const member = await this.#members.see(connection, memberId)
      await lockMember(connection, member.key)
      const rows = await rowsToMark(connection, member, mark)
      const now = rows[0]?.now
      const notificationIds = rows.map(({ notificationId }) => notificationId)
      if (now) await (mark.as === 'read' ? markRead(connection, member.key, rows, now) : markSeen(connection, member.key, rows))
      const state = await countUnread(connection, member)
      const named = mark.as === 'read' ? { notificationIds, readAt: now?.toISOString() ?? '' } : { seenIds: notificationIds }
      const event = now && (await insertReadEvent(connection, { memberId, ...named, ...state }))
      return { state, event, notificationIds, more: notificationIds.length === maxIdsPerReadMessage }
    })
  }

  /** Marks own notifications of the member as received; other ids are ignored. What is marked already is neither written nor locked. */
  async markReceived(memberId: MemberId, notificationIds: readonly number[]): Promise<void> {
    await this.#database.run(async (connection) => {
      // A plain read: an UPDATE would wait for rows that others have locked.
      const rows = await connection.rows<{ notificationId: number }>(
        `SELECT notification_id AS notificationId FROM notification FORCE INDEX (PRIMARY)
         WHERE notification_id IN (?) AND member_id = ? AND received = 0`,
        [notificationIds, await findMember(connection, memberId)],
      )
      if (rows.length === 0) return
      await connection.write('UPDATE notification FORCE INDEX (PRIMARY) SET received = 1 WHERE notification_id IN (?)', [
        rows.map((row) => row.notificationId),
      ])
    })
  }

  /** Deletes a notification for its member, or a broadcast for all. Returns the event for the devices, or undefined when there is none. */
  async recall(notificationId: number): Promise<OutboxRow | undefined> {
    const [owner] = await this.#database.run((connection) =>
      connection.rows<StoredMember>(`SELECT member_id AS memberId, ${textIdColumn} FROM notification WHERE notification_id = ?`, [
        notificationId,
      ]),
    )
    if (!owner) return undefined
    const memberId = memberIdOf(owner)
    return this.#database.transaction((connection) =>
      memberId === allMembers
        ? removeBroadcasts(connection, [notificationId])
        : removeFromInbox(connection, this.#members, memberId, [notificationId]),
    )
  }

  async #unchanged(memberId: MemberId): Promise<ReadChange> {
    const state = await this.#database.run(async (connection) =>
      countUnread(connection, await this.#members.find(connection, memberId)),
    )
    return { state, event: undefined }
  }
}

/** Increments the revision, and so takes the lock that every change of the member's inbox state takes first. */
async function lockMember(connection: Connection, member: MemberKey): Promise<void> {
  await connection.write(
    'INSERT INTO member_state (member_id, revision, broadcast_after) VALUES (?, 1, NULL) ON DUPLICATE KEY UPDATE revision = revision + 1',
    [member],
  )
}

/**
 * Deletes notifications of one member, within the caller's transaction. Returns the event for its devices; undefined when none of them is
 * stored any more.
 */
export async function removeFromInbox(
  connection: Connection,
  members: InboxMembers,
  memberId: MemberId,
  removedIds: number[],
): Promise<OutboxRow | undefined> {
  const member = await members.find(connection, memberId)
  await lockMember(connection, member.key)
  if ((await deleteNotifications(connection, removedIds)) === 0) return undefined
  return insertReadEvent(connection, { memberId, removedIds, ...(await countUnread(connection, member)) })
}

/** Deletes broadcasts, within the caller's transaction, as {@link removeFromInbox} does. */
export async function removeBroadcasts(connection: Connection, removedIds: number[]): Promise<OutboxRow | undefined> {
  if ((await deleteNotifications(connection, removedIds)) === 0) return undefined
  return insertOutboxRow(connection, channelOf(allMembers), JSON.stringify({ removedIds }))
}

async function deleteNotifications(connection: Connection, notificationIds: readonly number[]): Promise<number> {
  const { affectedRows } = await connection.write('DELETE FROM notification WHERE notification_id IN (?)', [notificationIds])
  return affectedRows
}

async function storedState(
  connection: Connection,
  { key, broadcastAfter }: InboxMember,
  notificationId: number,
): Promise<StoredState | undefined> {
  const [found] = await connection.rows<StoredState>(
    `SELECT n.notification_id AS notificationId, n.member_id = ${allMembers} AS broadcast, COALESCE(n.read_at, r.read_at) AS readAt,
       GREATEST(n.seen, COALESCE(s.seen, 0)) AS seen, GREATEST(n.archived, COALESCE(s.archived, 0)) AS archived, NOW(3) AS now
     FROM notification AS n ${broadcastMarks}
     WHERE n.notification_id = ? AND (n.member_id = ? OR n.member_id = ${allMembers} AND n.notification_id > ?)
       AND COALESCE(s.removed, 0) = 0 AND ${notExpired}`,
    [key, key, notificationId, key, broadcastAfter],
  )
  return found
}

interface MarkedRow {
  readonly notificationId: number
  readonly owner: number
  readonly now: Date
}

/**
 * Returns the newest notifications to mark, newest first. These are plain reads: they neither wait for a row that is not committed yet nor
 * return it, as an UPDATE or INSERT … SELECT with the same condition would.
 */
async function rowsToMark(connection: Connection, member: InboxMember, mark: Mark): Promise<readonly MarkedRow[]> {
  const own = await connection.rows<MarkedRow>(...ownToMark(member, mark))
  const broadcasts = await connection.rows<MarkedRow>(...broadcastsToMark(member, mark))
  return [...own, ...broadcasts].toSorted((a, b) => b.notificationId - a.notificationId).slice(0, maxIdsPerReadMessage)
}

/** @internal exported for the test of its query plan */
export function ownToMark({ key }: InboxMember, { as, upTo, kind }: Mark): Statement {
  return [
    `SELECT n.notification_id AS notificationId, n.member_id AS owner, NOW(3) AS now FROM notification AS n FORCE INDEX (notification_unread)
     WHERE n.member_id = ? AND n.read_at IS NULL AND n.archived = 0 AND n.notification_id <= ? AND ${notExpired}
       ${as === 'seen' ? ' AND n.seen = 0' : ''}${kind === undefined ? '' : ' AND n.kind = ?'}
     ORDER BY n.notification_id DESC LIMIT ?`,
    [key, upTo, ...(kind === undefined ? [] : [kind]), maxIdsPerReadMessage],
  ]
}

/** @internal exported for the test of its query plan */
export function broadcastsToMark({ key, broadcastAfter }: InboxMember, { as, upTo, kind }: Mark): Statement {
  return [
    `SELECT n.notification_id AS notificationId, n.member_id AS owner, NOW(3) AS now
     FROM notification AS n FORCE INDEX (notification_unread) ${broadcastMarks}
     WHERE ${ofInbox} AND n.read_at IS NULL AND n.notification_id <= ? AND r.member_id IS NULL
       ${as === 'seen' ? ' AND COALESCE(s.seen, 0) = 0' : ''}${kind === undefined ? '' : ' AND n.kind = ?'}
     ORDER BY n.notification_id DESC LIMIT ?`,
    [key, key, broadcastAfter, false, upTo, ...(kind === undefined ? [] : [kind]), maxIdsPerReadMessage],
  ]
}

async function markRead(connection: Connection, member: MemberKey, rows: readonly MarkedRow[], readAt: Date): Promise<void> {
  const [own, broadcasts] = idsOf(rows)
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

async function markSeen(connection: Connection, member: MemberKey, rows: readonly MarkedRow[]): Promise<void> {
  const [own, broadcasts] = idsOf(rows)
  if (own.length > 0) {
    await connection.write('UPDATE notification FORCE INDEX (PRIMARY) SET seen = 1 WHERE notification_id IN (?)', [own])
  }
  if (broadcasts.length > 0) {
    await connection.write(
      'INSERT INTO broadcast_state (member_id, notification_id, seen) VALUES ? ON DUPLICATE KEY UPDATE seen = 1',
      [broadcasts.map((notificationId) => [member, notificationId, 1])],
    )
  }
}

/** Returns the ids of the member's own notifications, and those of broadcasts. */
function idsOf(rows: readonly MarkedRow[]): [own: number[], broadcasts: number[]] {
  const idsWhere = (its: (row: MarkedRow) => boolean) => rows.filter(its).map(({ notificationId }) => notificationId)
  return [idsWhere(({ owner }) => owner !== allMembers), idsWhere(({ owner }) => owner === allMembers)]
}

/** Inserts the event into the outbox, within the caller's transaction. */
function insertReadEvent(connection: Connection, event: ReadMessage): Promise<OutboxRow> {
  return insertOutboxRow(connection, memberChannel(event.memberId, 'read'), JSON.stringify(event))
}
