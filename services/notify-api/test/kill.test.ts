import { connectStomp, type ServiceProcess, startService, subscribe, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { postLoad } from './fixture/post-load.ts'

const kills = process.env['TIDINGS_LONG'] === '1' ? 20 : 8
const postsPerKill = 250
const memberId = 1

let stack: Stack
let api: NotifyApi
let gateway: ServiceProcess

beforeAll(async () => {
  stack = await openStack('kill')
  api = await stack.start()
  gateway = await startService('realtime-gateway', { REDIS_URL: stack.redis.url, NOTIFY_API_URL: api.url })
})
afterAll(async () => {
  await gateway.kill()
  await stack.close()
})

test(`kill -9 under load, ${kills} times: every 201 is stored, and every stored notification is delivered to an open session`, async () => {
  const { session } = await connectStomp(`${gateway.url.replace('http', 'ws')}/ws`, { memberId })
  await subscribe(session, '0', '/member/queue/notification')
  const delivered = () => new Set(session.received.map((message) => Number(/"notificationId":(\d+)/.exec(message)?.[1])))

  const load = postLoad(() => api, { memberId, connections: 16 })
  for (let kill = 1; kill <= kills; kill++) {
    await waitFor(() => load.accepted().length >= kill * postsPerKill, {
      deadlineMs: 60_000,
      what: `${kill * postsPerKill} posts`,
    })
    await api.kill()
    api = await api.again()
  }
  await load.stop()
  expect(load.posts.some(({ status }) => status === undefined)).toBe(true)

  const stored = await stack.rows<{ id: number }>('SELECT notification_id AS id FROM notification')
  const ids = new Set(stored.map(({ id }) => id))
  expect(load.accepted().filter((id) => !ids.has(id))).toEqual([])
  // A notification without its outbox row would never be delivered.
  await waitFor(
    () => {
      const seen = delivered()
      return [...ids].every((id) => seen.has(id))
    },
    { deadlineMs: 60_000, what: 'every stored notification to be delivered' },
  )
  await waitFor(async () => (await stack.count('outbox')) === 0, { deadlineMs: 20_000, what: 'an empty outbox' })
}, 600_000)
