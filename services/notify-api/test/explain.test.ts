import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { million, openStack, type Stack } from './fixture/notify-api.ts'
import type { InboxMember } from '../src/notification/inbox-member.ts'
import { broadcastPage, kindCounts, ownPage, unreadCount, unreadCounts } from '../src/notification/inbox-store.ts'
import { broadcastsToMark, type Mark, ownToMark } from '../src/notification/read-store.ts'
import { deferredUnpublished, escalationStates, newestUnpublished, statusRows } from '../src/notification/status-store.ts'
import { Database } from '../src/database/database.ts'
import { findMember, storeMember } from '../src/database/member-key.ts'
import { migrate } from '../src/database/migration.ts'

const busy = 1
const ordinary = 500
const textId = '500|7f3c2a1e-5b7d-4e2f-9a3c-6d1b8e4f7a20'
let stack: Stack
let database: Database

interface Step {
  readonly table: string
  readonly type: string
  readonly key: string | null
  readonly Extra: string | null
}

/** A member that has all broadcasts. */
const withAll = (key: InboxMember['key']): InboxMember => ({ key, broadcastAfter: 0 })

// A million rows of one member, a million of a thousand others, and a thousand broadcasts, most of them read by two members. A tenth is
// archived, and one of a thousand is of the kind "rare".
beforeAll(async () => {
  stack = await openStack('explain')
  await migrate(stack.databaseUrl)
  // Filled without its indexes, which are built afterwards: the same table, in a tenth of the time.
  await stack.rows('ALTER TABLE notification DROP INDEX notification_page, DROP INDEX notification_unread')
  const fill = (member: string) =>
    stack.rows(
      `INSERT INTO notification (member_id, message, redirect_path, kind, archived)
       SELECT ${member}, 'hello', '/', IF(d.d + e.d + f.d = 0, 'rare', 'common'), a.d = 5 FROM ${million}`,
    )
  await fill(String(busy))
  await fill('2 + d.d * 100 + e.d * 10 + f.d')
  await stack.fill(0, 1_000)
  database = new Database(stack.databaseUrl, { connections: 1, timeoutMs: 60_000 })
  await database.run(async (connection) => {
    await connection.write('UPDATE notification SET member_id = ? WHERE member_id = 501', [await storeMember(connection, textId)])
  })
  await stack.rows(
    `ALTER TABLE notification ADD INDEX notification_page (member_id, archived, notification_id, kind, expires_at),
       ADD INDEX notification_unread (member_id, read_at, archived, notification_id, kind, expires_at, seen)`,
  )
  await stack.rows('UPDATE notification SET read_at = NOW(3) WHERE member_id = ? AND notification_id MOD 10 > 0', [ordinary])
  await stack.rows(
    `INSERT INTO broadcast_read (member_id, notification_id)
     SELECT m.id, notification_id FROM notification, (SELECT ? AS id UNION SELECT ?) AS m WHERE member_id = 0 AND notification_id MOD 10 > 0`,
    [busy, ordinary],
  )
  await stack.rows(
    `INSERT INTO broadcast_state (member_id, notification_id, seen, archived)
     SELECT ?, notification_id, 1, notification_id MOD 20 = 0 FROM notification WHERE member_id = 0 AND notification_id MOD 2 = 0`,
    [ordinary],
  )
  await stack.rows('ANALYZE TABLE notification, broadcast_read, broadcast_state')
}, 180_000)
afterAll(async () => {
  await database.close()
  await stack.close()
})

async function explain(sql: string, values: readonly unknown[]): Promise<Step[]> {
  return stack.rows<Step>(`EXPLAIN FORMAT=TRADITIONAL ${sql}`, values)
}

/** Checks the steps that read tables of notifications and their marks. */
function expectIndexesOnly(steps: readonly Step[], count: number): void {
  const tables = steps.filter(({ table }) => ['n', 'r', 's'].includes(table))
  expect(tables).toHaveLength(count)
  for (const { table, Extra, type } of tables) {
    // The states of broadcasts are rows of a primary key.
    if (table !== 's') expect(Extra).toMatch(/Using index/)
    expect(Extra).not.toMatch(/filesort|temporary/i)
    expect(['ref', 'range', 'eq_ref']).toContain(type)
  }
}

const pages = [
  { limit: 20, unread: false, archived: false },
  { limit: 20, unread: true, archived: false },
  { limit: 20, unread: false, archived: true },
  { limit: 20, unread: false, archived: false, kind: 'common' },
  { limit: 20, unread: false, archived: false, kind: 'rare' },
  { limit: 20, unread: true, archived: false, kind: 'rare' },
  { limit: 100, unread: false, archived: false, before: 900_000 },
  { limit: 100, unread: true, archived: true, before: 900_000, kind: 'common' },
]

describe.each([
  ['the member with a million', busy],
  ['one of a thousand members', ordinary],
  ['one with a text id', textId],
])('for %s', (_who, memberId) => {
  let member: InboxMember
  beforeAll(async () => {
    member = await database.run(async (connection) => withAll(await findMember(connection, memberId)))
  })

  test.each(pages)('an inbox page is read along an index, without sorting: %j', async (query) => {
    for (const [sql, values] of [ownPage(member, query), broadcastPage(member, query)]) {
      for (const step of await explain(sql, values)) {
        expect(step.Extra ?? '').not.toMatch(/filesort|temporary/i)
        // The page itself, of a few rows, when their ids are found.
        if (step.table.startsWith('<derived')) continue
        expect(['ref', 'range', 'eq_ref']).toContain(step.type)
        const byId = step.table !== 'n' || step.type === 'eq_ref'
        expect(step.key).toMatch(byId ? /^PRIMARY$/ : /^notification_(page|unread)$/)
        if (!byId && !sql.includes('broadcast')) expect(step.Extra).toMatch(/Using index/)
      }
    }
  })

  // For a rare kind, the entries of the index between its notifications are read, and no rows.
  test.each(pages.filter(({ kind }) => kind !== 'rare'))(
    'an inbox page reads few more rows than it returns: %j',
    async (query) => {
      for (const [sql, values] of [ownPage(member, query), broadcastPage(member, query)]) {
        // Most broadcasts were read or are not archived, and have to be skipped, each with two marks of the member.
        const skipped = sql.includes('LEFT JOIN')
          ? 3 * ((query.unread || query.archived || query.kind ? 1_000 : 100) + query.limit)
          : 0
        expect(await stack.rowsRead(sql, values)).toBeLessThanOrEqual(4 * (query.limit + 1) + skipped)
      }
    },
  )

  test.each<Mark>([
    { as: 'read', upTo: 2_000_000 },
    { as: 'seen', upTo: 2_000_000 },
    { as: 'read', upTo: 2_000_000, kind: 'common' },
  ])('a step of a mark is read along an index, without sorting: %j', async (mark) => {
    for (const [sql, values] of [ownToMark(member, mark), broadcastsToMark(member, mark)]) {
      for (const step of await explain(sql, values)) {
        // The states of broadcasts are rows of a primary key.
        if (step.table !== 's') expect(step.Extra ?? '').toMatch(/Using index/)
        expect(step.Extra ?? '').not.toMatch(/filesort|temporary/i)
        expect(['ref', 'range', 'eq_ref']).toContain(step.type)
      }
      expect(await stack.rowsRead(sql, values)).toBeLessThanOrEqual(4_000)
    }
  })

  test('the unread count is read from indexes alone', async () => {
    expectIndexesOnly(await explain(...unreadCount(member)), 4)
  })

  test('the unread counts of kinds are read from indexes alone', async () => {
    const steps = await explain(...kindCounts(member, ['rare', 'common']))
    for (const { table, Extra, type } of steps.filter((step) => ['n', 'r'].includes(step.table))) {
      expect(Extra, table).toMatch(/Using index/)
      expect(['ref', 'range', 'eq_ref']).toContain(type)
    }
  })
})

test('the unread counts of several members are read from indexes alone', async () => {
  expectIndexesOnly(await explain(...unreadCounts([ordinary, 2, 3, 999_999].map(withAll))), 4 * 4)
})

test('the unread counts of a hundred members read no row of the others', async () => {
  const others = Array.from({ length: 100 }, (_, index) => 600 + index)
  // A thousand unread notifications of each, and a thousand broadcasts, each with the marks of the member.
  expect(await stack.rowsRead(...unreadCounts(others.map(withAll)))).toBeLessThanOrEqual(100 * (1_000 + 3 * 1_000 + 20))
})

test('the status of a thousand notifications is read along indexes, also while 200,000 wait in the outbox', async () => {
  const waiting = 200_000
  await stack.rows(`INSERT INTO outbox (notification_id) SELECT notification_id FROM notification LIMIT ${waiting}`)
  await stack.rows(
    `INSERT INTO outbox_deferred (outbox_id, channel) SELECT outbox_id, CONCAT('member:', outbox_id MOD 1000, ':notification') FROM outbox`,
  )
  await stack.rows(
    `INSERT INTO escalation (notification_id, way, member_id, urgency, due_at)
     SELECT notification_id, 'webhook', member_id, 'normal', NOW(3) FROM notification LIMIT 10000`,
  )
  await stack.rows(`INSERT INTO text_member (text_id) SELECT CONCAT('member-', notification_id) FROM notification LIMIT 10000`)
  await stack.rows('ANALYZE TABLE outbox, outbox_deferred, escalation, text_member')
  const ids = Array.from({ length: 1_000 }, (_, index) => index * 200)
  const channels = Array.from({ length: 10 }, (_, index) => `member:${index}:notification`)
  const channelRows = (channels.length * waiting) / 1_000
  // MariaDB also makes a table of the list, and the text id of the member is a row of its own.
  const perId = 5
  const bounds = [
    [statusRows(ids), perId * ids.length],
    // Read once to find them, and once to compare them.
    [newestUnpublished(ids), 2 * 20_000 + perId * ids.length],
    [deferredUnpublished(ids, channels), 2 * channelRows + perId * ids.length],
    [escalationStates(ids), perId * ids.length],
  ] as const
  for (const [[sql, values], bound] of bounds) {
    for (const { table, type, key, Extra } of await explain(sql, values)) {
      expect(Extra ?? '', sql).not.toMatch(/filesort|temporary/i)
      // Others are the list of ids, and what is derived from it.
      if (!['notification', 'text_member', 'outbox', 'o', 'd', 'escalation'].includes(table)) continue
      expect([type, key], sql).toEqual([expect.stringMatching(/^(range|ref|eq_ref|index)$/), expect.any(String)])
    }
    expect(await stack.rowsRead(sql, values), sql).toBeLessThanOrEqual(bound + 100)
  }
})
