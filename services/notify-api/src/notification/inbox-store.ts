import type { InboxCounts, InboxItem, InboxPage, MemberId, UnreadCount, UnreadCounts } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import type { InboxMember, InboxMembers } from './inbox-member.ts'
import { allMembers } from './published-body.ts'

/** Which notifications a page or a mark is about. */
export interface InboxFilter {
  /** Only notifications of this kind. */
  readonly kind?: string | undefined
  /** Only unread notifications. */
  readonly unread: boolean
  /** Only archived notifications, or only others. */
  readonly archived: boolean
}

export interface PageQuery extends InboxFilter {
  readonly limit: number
  /** Only notifications older than this one. */
  readonly before?: number | undefined
}

type Counts = Omit<UnreadCount, 'revision'>

interface Row {
  readonly notificationId: number
  readonly message: string
  readonly redirectPath: string
  readonly data: string | null
  readonly kind: string | null
  readonly count: number
  readonly expiresAt: Date | null
  readonly createdAt: Date
  readonly readAt: Date | null
  readonly seen: number
  readonly archived: number
}

/** Members whose unread notifications one statement counts: few enough to stay far below the timeout of a statement. */
const membersPerStatement = 100

const columns = `n.notification_id AS notificationId, n.message, n.redirect_path AS redirectPath, n.data, n.kind, n.count,
  n.expires_at AS expiresAt, n.created_at AS createdAt`

/** Condition for `notification AS n`. */
export const notExpired = '(n.expires_at IS NULL OR n.expires_at > NOW(3))'

/** What a member has done with the broadcast `n`: `r` when it was read, `s` other changes. */
export const broadcastMarks = `LEFT JOIN broadcast_read AS r ON r.member_id = ? AND r.notification_id = n.notification_id
  LEFT JOIN broadcast_state AS s ON s.member_id = ? AND s.notification_id = n.notification_id`

/** Condition for broadcasts of the inbox with {@link broadcastMarks}; its values are `broadcastAfter` and whether it is archived. */
export const ofInbox = `n.member_id = ${allMembers} AND n.archived = 0 AND n.notification_id > ?
  AND COALESCE(s.removed, 0) = 0 AND COALESCE(s.archived, 0) = ? AND ${notExpired}`

/** Reads the inbox of a member: pages of notifications, newest first, and the unread count. */
export class InboxStore {
  readonly #database: Database
  readonly #members: InboxMembers

  constructor(database: Database, members: InboxMembers) {
    this.#database = database
    this.#members = members
  }

  /**
   * Returns one page by keyset: notifications added between two pages are newer than every cursor, so pages neither skip nor repeat.
   * The member's own notifications and the broadcasts are read along an index each and merged here: a single statement would have to
   * sort.
   */
  async page(memberId: MemberId, query: PageQuery): Promise<InboxPage> {
    return this.#database.run(async (connection) => {
      const member = await this.#see(connection, memberId)
      // Before the items: they include every change up to this revision, and perhaps later ones.
      const revision = await revisionOf(connection, member)
      const own = await connection.rows<Row>(...ownPage(member, query))
      const broadcasts = await connection.rows<Row>(...broadcastPage(member, query))
      const items = [...own.map((row) => itemOf(row, memberId)), ...broadcasts.map((row) => itemOf(row))]
        .toSorted((a, b) => b.notificationId - a.notificationId)
        .slice(0, query.limit + 1)
      // One more than requested was read: its presence means that there is a next page.
      const more = items.length > query.limit
      const page = more ? items.slice(0, -1) : items
      return { memberId, items: page, nextCursor: more ? (page.at(-1)?.notificationId ?? null) : null, revision }
    })
  }

  /** Returns the counts of a member, and those of `kinds`. */
  unread(memberId: MemberId, kinds: readonly string[] | undefined): Promise<InboxCounts> {
    return this.#database.run(async (connection) => {
      const member = await this.#see(connection, memberId)
      const counts = await countUnread(connection, member)
      if (!kinds) return { memberId, ...counts }
      const found = await connection.rows<Counts & { kind: string }>(...kindCounts(member, kinds))
      const byKind = new Map(found.map((row) => [row.kind, row]))
      const none = { unreadCount: 0, unseenCount: 0 }
      return { memberId, ...counts, kinds: kinds.map((kind) => ({ ...none, ...byKind.get(kind), kind })) }
    })
  }

  /** Returns the counts of several members in their order, each with its revision as {@link unread} does. */
  unreadOf(memberIds: readonly MemberId[]): Promise<UnreadCounts['members']> {
    return this.#database.run(async (connection) => {
      const counts: UnreadCounts['members'] = []
      for (let start = 0; start < memberIds.length; start += membersPerStatement) {
        const members = memberIds.slice(start, start + membersPerStatement)
        const found = await this.#members.findAll(connection, members)
        const rows = await connection.rows<UnreadCount & { at: number }>(...unreadCounts(found))
        for (const { at, ...count } of rows) counts[start + at] = { memberId: members[at] as MemberId, ...count }
      }
      return counts
    })
  }

  /** A server that takes no writes must still serve reads: the next call of the member stores then that it was seen. */
  #see(connection: Connection, memberId: MemberId): Promise<InboxMember> {
    return this.#members.see(connection, memberId).catch(() => this.#members.find(connection, memberId))
  }
}

/** Returns counts and revision from one statement, so that they belong together. It reads indexes only. */
export async function countUnread(connection: Connection, member: InboxMember): Promise<UnreadCount> {
  const [row] = await connection.rows<UnreadCount>(...unreadCount(member))
  return row ?? { unreadCount: 0, unseenCount: 0, revision: 0 }
}

async function revisionOf(connection: Connection, { key }: InboxMember): Promise<number> {
  const [row] = await connection.rows<{ revision: number }>('SELECT revision FROM member_state WHERE member_id = ?', [key])
  return row?.revision ?? 0
}

export type Statement = [sql: string, values: readonly unknown[]]

// The indexes are forced: from its statistics the optimizer may prefer to scan the primary key backwards, over the rows of all members.
export function ownPage({ key }: InboxMember, { limit, before, unread, archived, kind }: PageQuery): Statement {
  // The ids come from the index alone, also where the filter skips many. Only the rows of the page are read then.
  return [
    `SELECT ${columns}, n.read_at AS readAt, n.seen, n.archived FROM (
       SELECT n.notification_id AS id FROM notification AS n FORCE INDEX (${unread ? 'notification_unread' : 'notification_page'})
       WHERE n.member_id = ? AND n.archived = ? AND ${notExpired}${unread ? ' AND n.read_at IS NULL' : ''}
         ${kind === undefined ? '' : ' AND n.kind = ?'}${before ? ' AND n.notification_id < ?' : ''}
       ORDER BY n.notification_id DESC LIMIT ?
     ) AS page STRAIGHT_JOIN notification AS n ON n.notification_id = page.id`,
    [key, archived, ...(kind === undefined ? [] : [kind]), ...(before ? [before] : []), limit + 1],
  ]
}

export function broadcastPage(
  { key, broadcastAfter }: InboxMember,
  { limit, before, unread, archived, kind }: PageQuery,
): Statement {
  return [
    `SELECT ${columns}, r.read_at AS readAt, COALESCE(s.seen, 0) AS seen, COALESCE(s.archived, 0) AS archived
     FROM notification AS n FORCE INDEX (notification_page) ${broadcastMarks}
     WHERE ${ofInbox}${unread ? ' AND r.member_id IS NULL' : ''}
       ${kind === undefined ? '' : ' AND n.kind = ?'}${before ? ' AND n.notification_id < ?' : ''}
     ORDER BY n.notification_id DESC LIMIT ?`,
    [key, key, broadcastAfter, archived, ...(kind === undefined ? [] : [kind]), ...(before ? [before] : []), limit + 1],
  ]
}

/** Rows of the unread notifications of a member, its own and broadcasts, from indexes alone. */
function unreadRows({ key, broadcastAfter }: InboxMember): { own: Statement; broadcasts: Statement } {
  return {
    own: [
      `notification AS n FORCE INDEX (notification_unread)
       WHERE n.member_id = ? AND n.read_at IS NULL AND n.archived = 0 AND ${notExpired}`,
      [key],
    ],
    broadcasts: [
      `notification AS n FORCE INDEX (notification_unread) ${broadcastMarks}
       WHERE ${ofInbox} AND n.read_at IS NULL AND r.member_id IS NULL`,
      [key, key, broadcastAfter, false],
    ],
  }
}

const ownCounts = 'COUNT(*) AS unread, COALESCE(SUM(n.seen = 0), 0) AS unseen'
const broadcastCounts = 'COUNT(*) AS unread, COALESCE(SUM(COALESCE(s.seen, 0) = 0), 0) AS unseen'

export function unreadCount(member: InboxMember): Statement {
  const { own, broadcasts } = unreadRows(member)
  return [
    `SELECT o.unread + b.unread AS unreadCount, o.unseen + b.unseen AS unseenCount,
       COALESCE((SELECT m.revision FROM member_state AS m WHERE m.member_id = ?), 0) AS revision
     FROM (SELECT ${ownCounts} FROM ${own[0]}) AS o CROSS JOIN (SELECT ${broadcastCounts} FROM ${broadcasts[0]}) AS b`,
    [member.key, ...own[1], ...broadcasts[1]],
  ]
}

/** Returns the counts of those of the kinds that have unread notifications. */
export function kindCounts(member: InboxMember, kinds: readonly string[]): Statement {
  const { own, broadcasts } = unreadRows(member)
  return [
    `SELECT kind, SUM(unread) AS unreadCount, SUM(unseen) AS unseenCount FROM (
       SELECT n.kind, ${ownCounts} FROM ${own[0]} AND n.kind IN (?) GROUP BY n.kind
       UNION ALL SELECT n.kind, ${broadcastCounts} FROM ${broadcasts[0]} AND n.kind IN (?) GROUP BY n.kind
     ) AS counted GROUP BY kind`,
    [...own[1], kinds, ...broadcasts[1], kinds],
  ]
}

/** The statement of {@link unreadCount} for each member. `at` is the index of the member. */
export function unreadCounts(members: readonly InboxMember[]): Statement {
  const statements = members.map(unreadCount)
  return [
    statements.map(([sql], at) => `SELECT ${at} AS at, counted.* FROM (${sql}) AS counted`).join(' UNION ALL '),
    statements.flatMap(([, values]) => values),
  ]
}

function itemOf(row: Row, memberId?: MemberId): InboxItem {
  const { notificationId, message, redirectPath, data, kind, count, expiresAt, createdAt, readAt, seen, archived } = row
  return {
    ...(memberId !== undefined && { memberId }),
    notificationId,
    message,
    ...(redirectPath !== '' && { redirectPath }),
    ...(data !== null && { data: JSON.parse(data) as Record<string, unknown> }),
    ...(kind !== null && { kind }),
    count,
    ...(expiresAt !== null && { expiresAt: expiresAt.toISOString() }),
    createdAt: createdAt.toISOString(),
    readAt: readAt?.toISOString() ?? null,
    seen: seen === 1 || readAt !== null,
    archived: archived === 1,
  }
}
