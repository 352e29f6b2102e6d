import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { million, openStack, type Stack } from './fixture/notify-api.ts'
import { broadcastPage, ownPage, unreadCount, unreadCounts } from '../src/notification/inbox-store.ts'
import { ownUnread, unreadBroadcasts } from '../src/notification/read-store.ts'
import { Database } from '../src/database/database.ts'
import { findMember, type MemberKey, storeMember } from '../src/database/member-key.ts'
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

// A million rows of one member, a million of a thousand others, and a thousand broadcasts, most of them read by two members.
beforeAll(async () => {
  stack = await openStack('explain')
  await migrate(stack.databaseUrl)
  // Filled without its indexes, which are built afterwards: the same table, in a tenth of the time.
  await stack.rows('ALTER TABLE notification DROP INDEX notification_page, DROP INDEX notification_unread')
  await stack.fill(busy, 1_000_000)
  await stack.rows(
    `INSERT INTO notification (member_id, message, redirect_path) SELECT 2 + a.d * 100 + b.d * 10 + c.d, 'hello', '/' FROM ${million}`,
  )
  await stack.fill(0, 1_000)
  database = new Database(stack.databaseUrl, { connections: 1, timeoutMs: 60_000 })
  await database.run(async (connection) => {
    await connection.write('UPDATE notification SET member_id = ? WHERE member_id = 501', [await storeMember(connection, textId)])
  })
  await stack.rows(
    'ALTER TABLE notification ADD INDEX notification_page (member_id, notification_id), ADD INDEX notification_unread (member_id, read_at, notification_id)',
  )
  await stack.rows('UPDATE notification SET read_at = NOW(3) WHERE member_id = ? AND notification_id MOD 10 > 0', [ordinary])
  await stack.rows(
    `INSERT INTO broadcast_read (member_id, notification_id)
     SELECT m.id, notification_id FROM notification, (SELECT ? AS id UNION SELECT ?) AS m WHERE member_id = 0 AND notification_id MOD 10 > 0`,
    [busy, ordinary],
  )
  await stack.rows('ANALYZE TABLE notification, broadcast_read')
}, 180_000)
afterAll(async () => {
  await database.close()
  await stack.close()
})

async function explain(sql: string, values: readonly unknown[]): Promise<Step[]> {
  return stack.rows<Step>(`EXPLAIN FORMAT=TRADITIONAL ${sql}`, values)
}

const pages = [
  { limit: 20, unread: false },
  { limit: 20, unread: true },
  { limit: 100, unread: false, before: 900_000 },
  { limit: 100, unread: true, before: 900_000 },
]

describe.each([
  ['the member with a million', busy],
  ['one of a thousand members', ordinary],
  ['one with a text id', textId],
])('for %s', (_who, memberId) => {
  let member: MemberKey
  beforeAll(async () => {
    member = await database.run((connection) => findMember(connection, memberId))
  })

  test.each(pages)('an inbox page is read along an index, without sorting: %j', async (query) => {
    for (const [sql, values] of [ownPage(member, query), broadcastPage(member, query)]) {
      for (const step of await explain(sql, values)) {
        expect(step.Extra ?? '').not.toMatch(/filesort|temporary/i)
        expect(['ref', 'range', 'eq_ref']).toContain(step.type)
        expect(step.key).toMatch(step.table === 'n' ? /^notification_(page|unread)$/ : /^PRIMARY$/)
      }
    }
  })

  test.each(pages)('an inbox page reads at most twice the rows that it returns: %j', async (query) => {
    for (const [sql, values] of [ownPage(member, query), broadcastPage(member, query)]) {
      // Most broadcasts were read and have to be skipped.
      const skipped = query.unread && sql.includes('LEFT JOIN') ? 1_000 : 0
      expect(await stack.rowsRead(sql, values)).toBeLessThanOrEqual(2 * (query.limit + 1) + 2 * skipped)
    }
  })

  test('a step of a read-all is read along an index, without sorting', async () => {
    const upTo = 2_000_000
    for (const [sql, values] of [ownUnread(member, upTo), unreadBroadcasts(member, upTo)]) {
      for (const step of await explain(sql, values)) {
        expect(step.Extra ?? '').toMatch(/Using index/)
        expect(step.Extra ?? '').not.toMatch(/filesort|temporary/i)
        expect(['ref', 'range', 'eq_ref']).toContain(step.type)
      }
      expect(await stack.rowsRead(sql, values)).toBeLessThanOrEqual(4_000)
    }
  })

  test('the unread count is read from indexes alone', async () => {
    const steps = await explain(...unreadCount(member))
    const tables = steps.filter(({ table }) => ['n', 'b', 'r'].includes(table))
    expect(tables).toHaveLength(3)
    for (const { Extra, type } of tables) {
      expect(Extra).toMatch(/Using index/)
      expect(Extra).not.toMatch(/filesort|temporary/i)
      expect(['ref', 'range', 'eq_ref']).toContain(type)
    }
  })
})

test('the unread counts of several members are read from indexes alone', async () => {
  const steps = await explain(...unreadCounts([ordinary, 2, 3, 999_999]))
  const tables = steps.filter(({ table }) => ['n', 'b', 'r'].includes(table))
  expect(tables).toHaveLength(4 * 3)
  for (const { Extra, type } of tables) {
    expect(Extra).toMatch(/Using index/)
    expect(Extra).not.toMatch(/filesort|temporary/i)
    expect(['ref', 'range', 'eq_ref']).toContain(type)
  }
})

test('the unread counts of a hundred members read no row of the others', async () => {
  const others = Array.from({ length: 100 }, (_, index) => 600 + index)
  // A thousand unread notifications of each, and a thousand broadcasts, each with the mark that the member has read it.
  expect(await stack.rowsRead(...unreadCounts(others))).toBeLessThanOrEqual(100 * (1_000 + 2 * 1_000 + 10))
})
