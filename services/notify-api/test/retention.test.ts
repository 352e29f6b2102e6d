import { waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

let stack: Stack
let api: NotifyApi
const days = 7
const env = { RETENTION_DAYS: String(days), RETENTION_INTERVAL_SECONDS: '1' }

beforeAll(async () => {
  stack = await openStack('retention')
  api = await stack.start(env)
})
afterAll(() => stack.close())

test('expired rows are deleted with their dependent rows; others stay', async () => {
  const send = (memberId: number) => api.send({ ...hello, memberId }, { 'idempotency-key': `key ${memberId}` })
  const broadcast = async () =>
    (await api.post('/notification/broadcast', { message: 'all', redirectPath: '/' })).body['notificationId']
  await send(1)
  const oldBroadcast = await broadcast()
  await api.member(1).post('/notification/read-all', { upTo: Number.MAX_SAFE_INTEGER })
  await stack.rows('UPDATE notification SET created_at = NOW(3) - INTERVAL ? DAY', [days + 1])
  await stack.rows(
    `INSERT INTO escalation (notification_id, way, member_id, urgency, due_at, changed_at)
     SELECT notification_id, 'push', member_id, 'normal', '2100-01-01', NOW(3) - INTERVAL 1 DAY FROM notification`,
  )
  await stack.rows('UPDATE idempotency_key SET created_at = NOW(3) - INTERVAL 25 HOUR')
  const kept = (await send(2)).body['notificationId']
  const newBroadcast = await broadcast()
  await api.member(1).post(`/notification/${String(newBroadcast)}/read`)
  await stack.rows(
    "INSERT INTO escalation (notification_id, way, member_id, urgency, due_at) VALUES (?, 'push', 2, 'low', NOW(3))",
    [kept],
  )
  const tables = ['idempotency_key', 'broadcast_read', 'escalation']
  await waitFor(async () => (await Promise.all(tables.map((table) => stack.count(table)))).every((count) => count === 1), {
    deadlineMs: 20_000,
    what: 'the expired rows to be deleted',
  })
  const left = await stack.rows<{ id: number }>('SELECT notification_id AS id FROM notification ORDER BY notification_id')
  expect(left.map(({ id }) => id)).toEqual([kept, newBroadcast])
  expect(await stack.rows('SELECT 1 FROM broadcast_read WHERE notification_id = ?', [oldBroadcast])).toEqual([])
  // Counted at the end of the pass.
  await waitFor(async () => /tidings_retired_rows_total\{table="notification"\} 2\n/.test(await api.ops('/metrics')), {
    what: 'the metric',
  })
})

test('devices receive the ids and the count when unread notifications are removed; a member that fails does not delay others', async () => {
  const members = [21, 22, 23, 24] as const
  const [blocked, , , allRead] = members
  const ids = new Map<number, number[]>()
  for (const memberId of [...members, ...members]) {
    const id = (await api.send({ ...hello, memberId })).body['notificationId'] as number
    ids.set(memberId, [...(ids.get(memberId) ?? []), id])
  }
  await api.member(allRead).post('/notification/read-all', { upTo: Number.MAX_SAFE_INTEGER })
  for (const memberId of members) await api.send({ ...hello, memberId })
  const { publications } = await stack.listen(...members.map((memberId) => `member:${memberId}:read`))
  await stack.rows('INSERT INTO member_state (member_id, revision) VALUES (?, 1)', [blocked])
  const before = new Map<number, Record<string, unknown>>()
  for (const id of members) before.set(id, (await api.member(id).get('/notification/unread-count')).body)
  const unlock = await stack.lockRow('SELECT * FROM member_state WHERE member_id = ? FOR UPDATE', [blocked])
  await stack.rows('UPDATE notification SET created_at = NOW(3) - INTERVAL ? DAY WHERE notification_id IN (?)', [
    days + 1,
    [...ids.values()].flat(),
  ])
  const removed = (memberId: number) =>
    publications.find(({ channel, body }) => channel === `member:${memberId}:read` && 'removedIds' in body)?.body
  await waitFor(() => removed(22) && removed(23), { deadlineMs: 20_000, what: 'the events' })
  expect(removed(blocked)).toBeUndefined()
  await unlock()
  await waitFor(() => removed(blocked), { deadlineMs: 20_000, what: 'the event of the member that failed before' })
  for (const memberId of [blocked, 22, 23]) {
    const { body } = await api.member(memberId).get('/notification/unread-count')
    expect(removed(memberId)).toEqual({ memberId, removedIds: ids.get(memberId), ...body })
    expect(body['unreadCount']).toBe(Number(before.get(memberId)?.['unreadCount']) - 2)
    expect(body['revision']).toBeGreaterThan(Number(before.get(memberId)?.['revision']))
  }
  expect(removed(allRead)).toBeUndefined()
})

test('an instance that stands still in the middle of a pass blocks retention no longer than its lease', async () => {
  await api.stop()
  const old = async (memberId: number) => {
    await stack.fill(memberId, 1)
    await stack.rows('UPDATE notification SET created_at = NOW(3) - INTERVAL ? DAY WHERE member_id = ?', [days + 1, memberId])
  }
  const deleted = async (memberId: number) =>
    (await stack.rows('SELECT 1 FROM notification WHERE member_id = ?', [memberId])).length === 0
  const waiting = "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'DELETE FROM task%'"
  await old(11)
  const holder = await stack.start(env)
  const unlock = await stack.lockTable('task')
  onTestFinished(unlock)
  await waitFor(() => deleted(11), { deadlineMs: 15_000, what: 'a pass' })
  await waitFor(async () => (await stack.rows(waiting)).length > 0, { what: 'the pass to come to the tasks' })
  holder.pause()
  onTestFinished(() => holder.resume())
  await unlock()
  await old(12)
  api = await stack.start(env)
  await waitFor(() => deleted(12), { deadlineMs: 15_000, what: 'the pass of another instance' })
})

test('many expired rows are deleted in small batches over several passes, while posts continue', async () => {
  await stack.fill(9, 20_000)
  await stack.rows('UPDATE notification SET created_at = NOW(3) - INTERVAL ? DAY WHERE member_id = 9', [days + 1])
  const other = await stack.start(env)
  let sent = 0
  await waitFor(
    async () => {
      expect(await other.send({ ...hello, memberId: 10 })).toMatchObject({ status: 201 })
      sent++
      const [row] = await stack.rows<{ old: number }>('SELECT COUNT(*) AS old FROM notification WHERE member_id = 9')
      return row?.old === 0
    },
    { deadlineMs: 60_000, what: 'the expired rows to be deleted' },
  )
  expect(await stack.rows('SELECT 1 FROM notification WHERE member_id = 10')).toHaveLength(sent)
}, 90_000)
