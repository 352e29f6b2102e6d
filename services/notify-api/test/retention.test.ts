import { waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
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
  await stack.rows('UPDATE idempotency_key SET created_at = NOW(3) - INTERVAL 25 HOUR')
  const kept = (await send(2)).body['notificationId']
  const newBroadcast = await broadcast()
  await api.member(1).post(`/notification/${String(newBroadcast)}/read`)
  await waitFor(async () => (await stack.count('idempotency_key')) === 1 && (await stack.count('broadcast_read')) === 1, {
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
