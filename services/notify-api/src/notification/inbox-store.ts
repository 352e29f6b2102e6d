import type { InboxItem, InboxPage, MemberId, MemberUnreadCount, UnreadCount, UnreadCounts } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import { findMember, findMembers, type MemberKey } from '../database/member-key.ts'
import { allMembers } from './published-body.ts'

export interface PageQuery {
  readonly limit: number
  /** Only notifications older than this one. */
  readonly before?: number | undefined
  /** Only unread notifications. */
  readonly unread: boolean
}

interface Row {
  readonly notificationId: number
  readonly message: string
  readonly redirectPath: string
  readonly data: string | null
  readonly createdAt: Date
  readonly readAt: Date | null
}

/** Members whose unread notifications one statement counts: few enough to stay far below the timeout of a statement. */
const membersPerStatement = 100

const columns =
  'n.notification_id AS notificationId, n.message, n.redirect_path AS redirectPath, n.data, n.created_at AS createdAt'

/** Reads the inbox of a member: pages of notifications, newest first, and the unread count. */
export class InboxStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Returns one page by keyset: notifications added between two pages are newer than every cursor, so pages neither skip nor repeat.
   * The member's own notifications and the broadcasts are read along an index each and merged here: a single statement would have to
   * sort.
   */
  async page(memberId: MemberId, query: PageQuery): Promise<InboxPage> {
    return this.#database.run(async (connection) => {
      const member = await findMember(connection, memberId)
      const own = await connection.rows<Row>(...ownPage(member, query))
      const broadcasts = await connection.rows<Row>(...broadcastPage(member, query))
      const items = [...own.map((row) => itemOf(row, memberId)), ...broadcasts.map((row) => itemOf(row))]
        .toSorted((a, b) => b.notificationId - a.notificationId)
        .slice(0, query.limit + 1)
      // One more than requested was read: its presence means that there is a next page.
      const more = items.length > query.limit
      const page = more ? items.slice(0, -1) : items
      return { memberId, items: page, nextCursor: more ? (page.at(-1)?.notificationId ?? null) : null }
    })
  }

  unread(memberId: MemberId): Promise<MemberUnreadCount> {
    return this.#database.run(async (connection) => ({
      memberId,
      ...(await countUnread(connection, await findMember(connection, memberId))),
    }))
  }

  /** Returns the counts of several members in their order, each with its revision as {@link unread} does. */
  unreadOf(memberIds: readonly MemberId[]): Promise<UnreadCounts['members']> {
    return this.#database.run(async (connection) => {
      const counts: UnreadCounts['members'] = []
      for (let start = 0; start < memberIds.length; start += membersPerStatement) {
        const members = memberIds.slice(start, start + membersPerStatement)
        const keys = await findMembers(connection, members)
        const rows = await connection.rows<UnreadCount & { at: number }>(...unreadCounts(keys))
        for (const { at, ...count } of rows) counts[start + at] = { memberId: members[at] as MemberId, ...count }
      }
      return counts
    })
  }
}

/** Returns count and revision from one statement, so that they belong together. It reads indexes only. */
export async function countUnread(connection: Connection, member: MemberKey): Promise<UnreadCount> {
  const [row] = await connection.rows<UnreadCount>(...unreadCount(member))
  return row ?? { unreadCount: 0, revision: 0 }
}

export type Statement = [sql: string, values: readonly unknown[]]

// The indexes are forced: from its statistics the optimizer may prefer to scan the primary key backwards, over the rows of all members.
export function ownPage(member: MemberKey, { limit, before, unread }: PageQuery): Statement {
  return [
    `SELECT ${columns}, n.read_at AS readAt FROM notification AS n FORCE INDEX (${unread ? 'notification_unread' : 'notification_page'})
     WHERE n.member_id = ?${unread ? ' AND n.read_at IS NULL' : ''}${before ? ' AND n.notification_id < ?' : ''}
     ORDER BY n.notification_id DESC LIMIT ?`,
    [member, ...(before ? [before] : []), limit + 1],
  ]
}

export function broadcastPage(member: MemberKey, { limit, before, unread }: PageQuery): Statement {
  return [
    `SELECT ${columns}, r.read_at AS readAt FROM notification AS n FORCE INDEX (notification_page)
     LEFT JOIN broadcast_read AS r ON r.member_id = ? AND r.notification_id = n.notification_id
     WHERE n.member_id = ${allMembers}${unread ? ' AND r.member_id IS NULL' : ''}${before ? ' AND n.notification_id < ?' : ''}
     ORDER BY n.notification_id DESC LIMIT ?`,
    [member, ...(before ? [before] : []), limit + 1],
  ]
}

export function unreadCount(member: MemberKey): Statement {
  return [
    `SELECT
       (SELECT COUNT(*) FROM notification AS n FORCE INDEX (notification_unread) WHERE n.member_id = ? AND n.read_at IS NULL)
       + (SELECT COUNT(*) FROM notification AS b FORCE INDEX (notification_page)
          LEFT JOIN broadcast_read AS r ON r.member_id = ? AND r.notification_id = b.notification_id
          WHERE b.member_id = ${allMembers} AND r.member_id IS NULL) AS unreadCount,
       COALESCE((SELECT s.revision FROM member_state AS s WHERE s.member_id = ?), 0) AS revision`,
    [member, member, member],
  ]
}

/** The statement of {@link unreadCount} for each member. `at` is the index of the member. */
export function unreadCounts(members: readonly MemberKey[]): Statement {
  const statements = members.map(unreadCount)
  return [
    statements.map(([sql], at) => `SELECT ${at} AS at, counted.* FROM (${sql}) AS counted`).join(' UNION ALL '),
    statements.flatMap(([, values]) => values),
  ]
}

function itemOf({ notificationId, message, redirectPath, data, createdAt, readAt }: Row, memberId?: MemberId): InboxItem {
  return {
    ...(memberId !== undefined && { memberId }),
    notificationId,
    message,
    redirectPath,
    ...(data !== null && { data: JSON.parse(data) as Record<string, unknown> }),
    createdAt: createdAt.toISOString(),
    readAt: readAt?.toISOString() ?? null,
  }
}
