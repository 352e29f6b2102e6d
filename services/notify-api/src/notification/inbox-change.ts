import type { Connection } from '../database/database.ts'
import type { MemberKey } from '../database/member-key.ts'

/** A change of one notification by its member. */
export type InboxChange = 'read' | 'unread' | 'archive' | 'unarchive' | 'remove'

/** State of a notification in the inbox of one member. */
export interface StoredState {
  readonly notificationId: number
  readonly broadcast: number
  readonly readAt: Date | null
  readonly seen: number
  readonly archived: number
  /** Time of the database. */
  readonly now: Date
}

/** The part of a ReadMessage that names the notification. */
type Named =
  | { notificationIds: number[]; readAt: string }
  | { unreadIds: number[] }
  | { archivedIds: number[] }
  | { unarchivedIds: number[] }
  | { removedIds: number[] }

interface Rule {
  readonly isDone: (state: StoredState) => boolean
  /** Writes the change, within the transaction of the caller. Resolves to false when the notification is no longer stored. */
  readonly write: (connection: Connection, member: MemberKey, state: StoredState) => Promise<boolean>
  readonly eventOf: (state: StoredState) => Named
}

/** Stores what a member has done with a broadcast. */
async function setBroadcastState(
  connection: Connection,
  member: MemberKey,
  column: 'seen' | 'archived' | 'removed',
  notificationId: number,
): Promise<void> {
  await connection.write(
    `INSERT INTO broadcast_state (member_id, notification_id, ${column}) VALUES (?, ?, 1) ON DUPLICATE KEY UPDATE ${column} = 1`,
    [member, notificationId],
  )
}

async function writeOwn(connection: Connection, sql: string, values: readonly unknown[]): Promise<boolean> {
  const { affectedRows } = await connection.write(sql, values)
  return affectedRows > 0
}

/** The changes that a member makes. */
export const inboxChanges: Readonly<Record<InboxChange, Rule>> = {
  read: {
    isDone: ({ readAt }) => readAt !== null,
    async write(connection, member, { notificationId, broadcast, now }) {
      if (!broadcast)
        return writeOwn(connection, 'UPDATE notification SET read_at = ? WHERE notification_id = ?', [now, notificationId])
      await connection.write('INSERT IGNORE INTO broadcast_read (member_id, notification_id, read_at) VALUES (?)', [
        [member, notificationId, now],
      ])
      return true
    },
    eventOf: ({ notificationId, now }) => ({ notificationIds: [notificationId], readAt: now.toISOString() }),
  },
  unread: {
    // What a member marks, it has seen.
    isDone: ({ readAt, seen }) => readAt === null && seen === 1,
    async write(connection, member, { notificationId, broadcast }) {
      if (!broadcast)
        return writeOwn(connection, 'UPDATE notification SET read_at = NULL, seen = 1 WHERE notification_id = ?', [
          notificationId,
        ])
      await connection.write('DELETE FROM broadcast_read WHERE member_id = ? AND notification_id = ?', [member, notificationId])
      await setBroadcastState(connection, member, 'seen', notificationId)
      return true
    },
    eventOf: ({ notificationId }) => ({ unreadIds: [notificationId] }),
  },
  archive: {
    isDone: ({ archived }) => archived === 1,
    async write(connection, member, { notificationId, broadcast }) {
      if (!broadcast)
        return writeOwn(connection, 'UPDATE notification SET archived = 1 WHERE notification_id = ?', [notificationId])
      await setBroadcastState(connection, member, 'archived', notificationId)
      return true
    },
    eventOf: ({ notificationId }) => ({ archivedIds: [notificationId] }),
  },
  unarchive: {
    isDone: ({ archived }) => archived === 0,
    async write(connection, member, { notificationId, broadcast }) {
      if (!broadcast)
        return writeOwn(connection, 'UPDATE notification SET archived = 0 WHERE notification_id = ?', [notificationId])
      await connection.write('UPDATE broadcast_state SET archived = 0 WHERE member_id = ? AND notification_id = ?', [
        member,
        notificationId,
      ])
      return true
    },
    eventOf: ({ notificationId }) => ({ unarchivedIds: [notificationId] }),
  },
  remove: {
    isDone: () => false,
    async write(connection, member, { notificationId, broadcast }) {
      if (!broadcast) return writeOwn(connection, 'DELETE FROM notification WHERE notification_id = ?', [notificationId])
      await setBroadcastState(connection, member, 'removed', notificationId)
      return true
    },
    eventOf: ({ notificationId }) => ({ removedIds: [notificationId] }),
  },
}
