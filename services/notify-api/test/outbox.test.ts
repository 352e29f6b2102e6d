import { waitFor } from '@tidings/local'
import { historyKey } from '@tidings/protocol'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { type ApiResponse, hello, type Listener, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { openRelay, type Relay } from './fixture/relay.ts'
import { deletion } from '../src/outbox/store.ts'

let stack: Stack

beforeEach(async () => {
  stack = await openStack('outbox')
})
afterEach(() => stack.close())

const channel = 'member:1:notification'
const sweepDeadlineMs = 20_000

async function timed(response: Promise<ApiResponse>): Promise<{ response: ApiResponse; ms: number }> {
  const begin = performance.now()
  return { response: await response, ms: performance.now() - begin }
}

/** Starts an instance with its own relay to Redis, so that it reconnects only after a listener has subscribed. */
async function startCuttable(): Promise<{ api: NotifyApi; relay: Relay }> {
  const relay = await openRelay(stack.redis.port)
  onTestFinished(() => relay.close())
  return { api: await stack.start({ REDIS_URL: `redis://127.0.0.1:${relay.port}` }), relay }
}

/** Restarts Redis, which is empty then, and subscribes before the instance reconnects. */
async function listenToRestarted(listened: string): Promise<Listener> {
  await stack.redis.restart()
  return stack.listen(listened)
}

const emptied = () =>
  waitFor(async () => (await stack.count('outbox')) === 0, { deadlineMs: sweepDeadlineMs, what: 'an empty outbox' })

test('a published row is deleted', async () => {
  const api = await stack.start()
  await api.send(hello)
  await emptied()
})

test('the sweep publishes the same bodies as an immediate publication', async () => {
  const { api, relay } = await startCuttable()
  const content = {
    message: '따옴표 " \\ \u2028 🎉\n끝',
    redirectPath: '/a?b=c&d="e"',
    data: { text: "it's \\ 가", list: [1, 2.5, null], nested: { b: true, a: {} } },
  }
  const channels = ['member:1:notification', 'member:auth0|a1:notification', 'broadcast:all']
  const send = async () => {
    const sent = await api.post('/notification/send', { memberIds: [1, 'auth0|a1'], ...content })
    const broadcast = await api.post('/notification/broadcast', content)
    expect([sent.status, broadcast.status]).toEqual([201, 201])
  }
  const before = await stack.listen(...channels)
  await send()
  await waitFor(() => before.publications.length === 3, { what: 'the publications' })
  await emptied()
  before.close()
  relay.target = undefined
  await stack.redis.kill()
  await send()
  await stack.redis.restart()
  const after = await stack.listen(...channels)
  relay.target = stack.redis.port
  await waitFor(() => after.publications.length === 3, { deadlineMs: sweepDeadlineMs, what: 'the swept publications' })
  const expected = [
    { channel: channels[0], body: { notificationId: expect.any(Number), memberId: 1, ...content } },
    { channel: channels[1], body: { notificationId: expect.any(Number), memberId: 'auth0|a1', ...content } },
    { channel: channels[2], body: { notificationId: expect.any(Number), ...content } },
  ]
  expect(before.publications).toMatchObject(expected)
  expect(after.publications).toMatchObject(expected)
  // No other fields.
  for (const { publications } of [before, after]) {
    expect(publications.map(({ body }) => Object.keys(body).length)).toEqual([5, 5, 4])
  }
})

test('the sweep skips the row of a deleted notification and publishes the others', async () => {
  const first = await stack.start()
  await first.stop()
  await stack.rows("INSERT INTO notification (member_id, message, redirect_path) VALUES (1, 'kept', '/')")
  await stack.rows('INSERT INTO outbox (notification_id) SELECT notification_id + 1000 FROM notification')
  await stack.rows('INSERT INTO outbox (notification_id) SELECT notification_id FROM notification')
  await stack.rows('UPDATE outbox SET created_at = created_at - INTERVAL 1 MINUTE')
  const gateway = await stack.listen(channel)
  await first.again()
  await emptied()
  await waitFor(() => gateway.publications.length > 0, { what: 'the publication' })
  expect(gateway.publications.map(({ body }) => body['message'])).toEqual(['kept'])
})

test('a row between two published ones is not deleted with them', async () => {
  const api = await stack.start()
  await api.send(hello)
  // Younger than the grace period during the whole test.
  await stack.rows("INSERT INTO outbox (channel, body, created_at) VALUES ('member:9:read', '{}', NOW(3) + INTERVAL 1 HOUR)")
  const [between] = await stack.rows<{ id: number }>("SELECT outbox_id AS id FROM outbox WHERE channel = 'member:9:read'")
  await api.send(hello)
  // The row of the second one may be deleted already.
  const [next] = await stack.rows<{ id: number }>(
    "SELECT AUTO_INCREMENT AS id FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'outbox'",
  )
  expect(next?.id).toBeGreaterThan((between?.id ?? Number.NaN) + 1)
  await waitFor(async () => (await stack.count('outbox')) === 1, { what: 'both to be deleted' })
  expect(await stack.rows('SELECT outbox_id AS id FROM outbox')).toEqual([between])
})

test.each([1, 3, 200])(
  'rows are deleted along the primary key, also when the table has no others than those %i',
  async (count) => {
    await (await stack.start()).stop()
    await stack.rows('INSERT INTO outbox (notification_id) VALUES ?', [Array.from({ length: count }, (_, index) => [index])])
    const ids = (await stack.rows<{ id: number }>('SELECT outbox_id AS id FROM outbox')).map(({ id }) => id)
    const plan = await stack.rows<{ table: string; type: string; key: string }>(
      `EXPLAIN FORMAT=TRADITIONAL ${deletion('outbox', ids)}`,
    )
    expect(plan.find(({ table }) => table === 'deleted' || table === 'outbox')).toMatchObject({
      type: expect.stringMatching(/eq_ref|const/) as string,
      key: 'PRIMARY',
    })
  },
)

test('a notification whose instance was killed between commit and publication is published by the sweep after a restart', async () => {
  // Longer than the kill takes: the instance must not respond before it dies.
  const api = await stack.start({ PUBLISH_TIMEOUT_MS: '20000' })
  stack.redis.pause()
  const unfinished = api.send(hello).catch(() => 'no response')
  await waitFor(async () => (await stack.count('outbox')) === 1, { what: 'the commit' })
  await api.kill()
  expect(await unfinished).toBe('no response')
  // This Redis may still receive what the dead instance wrote to the socket, so it is replaced.
  const gateway = await listenToRestarted(channel)
  await api.again()
  await waitFor(() => gateway.publications.length > 0, { deadlineMs: sweepDeadlineMs, what: 'the publication' })
  await emptied()
  expect(gateway.publications.map(({ body }) => body)).toEqual([{ ...hello, notificationId: expect.any(Number) }])
})

test('without Redis, sends return online: null immediately; once Redis is back, all are published once, in order', async () => {
  const { api, relay } = await startCuttable()
  expect((await api.send(hello)).body['online']).toBe(false)
  // The response does not wait for the publication, which must not go to the next Redis.
  await emptied()
  relay.target = undefined
  await stack.redis.kill()
  const sent: number[] = []
  for (let index = 0; index < 40; index++) {
    const { response, ms } = await timed(api.send({ ...hello, message: `message ${index}` }))
    expect([response.status, response.body['online']]).toEqual([201, null])
    // Far less than the publish timeout.
    expect(ms).toBeLessThan(5_000)
    sent.push(response.body['notificationId'] as number)
  }
  await waitFor(async () => (await api.ops('/ready')).includes('"failing":[],"degraded":["redis"]'), {
    what: 'readiness to be degraded',
  })
  const gateway = await listenToRestarted(channel)
  relay.target = stack.redis.port
  // The circuit closes after the deferred rows are published: nothing overtakes them.
  const direct = await waitFor(
    async () => {
      const { body } = await api.send(hello)
      sent.push(body['notificationId'] as number)
      return body['online'] === true
    },
    { deadlineMs: sweepDeadlineMs, what: 'an immediate publication' },
  )
  expect(direct).toBe(true)
  await waitFor(() => gateway.publications.length >= sent.length, { deadlineMs: sweepDeadlineMs, what: 'all publications' })
  expect(gateway.publications.map(({ body }) => body['notificationId'])).toEqual(sent)
  await emptied()
})

test('while Redis hangs, the first sends wait for the publish timeout only, and later ones do not wait', async () => {
  const publishTimeoutMs = 5_000
  const api = await stack.start({ PUBLISH_TIMEOUT_MS: String(publishTimeoutMs) })
  const gateway = await stack.listen(channel)
  await api.send(hello)
  stack.redis.pause()
  const first = await timed(api.send(hello))
  expect(first.response.body['online']).toBeNull()
  expect(first.ms).toBeLessThan(2 * publishTimeoutMs)
  for (let index = 0; index < 10; index++) {
    const { response, ms } = await timed(api.send(hello))
    expect([response.status, response.body['online']]).toEqual([201, null])
    expect(ms).toBeLessThan(publishTimeoutMs)
  }
  await waitFor(async () => /tidings_circuit_open 1/.test(await api.ops('/metrics')), {
    deadlineMs: sweepDeadlineMs,
    what: 'the metric',
  })
  stack.redis.resume()
  await waitFor(() => new Set(gateway.publications.map(({ body }) => body['notificationId'])).size === 12, {
    deadlineMs: sweepDeadlineMs,
    what: 'all publications',
  })
  await waitFor(async () => /tidings_circuit_open 0/.test(await api.ops('/metrics')), {
    deadlineMs: sweepDeadlineMs,
    what: 'the circuit to close',
  })
  await emptied()
})

test('a revocation is delivered after an outage of Redis', async () => {
  const { api, relay } = await startCuttable()
  relay.target = undefined
  await stack.redis.kill()
  expect(await api.post('/session/revoke', { memberId: 7 })).toMatchObject({ status: 202 })
  const gateway = await listenToRestarted('gateway:control')
  relay.target = stack.redis.port
  // `revocations`, which an instance publishes when it finds a new Redis, may come before it.
  const revoked = () => gateway.publications.find(({ body }) => body['type'] === 'revoke')
  await waitFor(revoked, { deadlineMs: sweepDeadlineMs, what: 'the control message' })
  expect(revoked()?.body).toMatchObject({ memberId: 7 })
})

test('three instances that sweep the same backlog publish each row exactly once', async () => {
  const first = await stack.start()
  await first.stop()
  const rows = 5_000
  const values = Array.from({ length: rows }, (_, index) => [channel, JSON.stringify({ notificationId: index })])
  await stack.rows('INSERT INTO outbox (channel, body) VALUES ?', [values])
  await stack.rows('UPDATE outbox SET created_at = created_at - INTERVAL 1 MINUTE')
  const gateway = await stack.listen(channel)
  await Promise.all([stack.start(), stack.start(), stack.start()])
  await emptied()
  await waitFor(() => gateway.publications.length >= rows, { deadlineMs: sweepDeadlineMs, what: 'all publications' })
  const ids = gateway.publications.map(({ body }) => body['notificationId'] as number)
  expect(ids.toSorted((a, b) => a - b)).toEqual(values.map((_, index) => index))
})

test('an instance does not publish young rows of another instance', async () => {
  const [one] = await Promise.all([stack.start(), stack.start()])
  const gateway = await stack.listen(channel)
  const sends = Array.from({ length: 200 }, () => one.send(hello))
  await Promise.all(sends)
  await emptied()
  await waitFor(() => gateway.publications.length >= sends.length, { what: 'all publications' })
  expect(gateway.publications).toHaveLength(sends.length)
})

/** An administrator's connection to Redis. */
function openAdmin(): Redis {
  const admin = new Redis(stack.redis.url)
  onTestFinished(() => admin.disconnect())
  return admin
}

/** Starts an instance whose Redis user may publish to the channels of `pattern` and to those of gateways only. */
async function startLimited(admin: Redis, pattern: string): Promise<NotifyApi> {
  await admin.call('ACL', 'SETUSER', 'notify', 'reset', 'on', '>secret', '~*', '+@all', '&gateway:*', pattern)
  return stack.start({ REDIS_URL: stack.redis.url.replace('redis://', 'redis://notify:secret@') })
}

const idsOf = (publications: Listener['publications'], name: string) =>
  publications.filter((one) => one.channel === name).map(({ body }) => body['notificationId'])

test('broadcasts that Redis refuses are parked, delay no notifications, and are published once, in order, when Redis allows them', async () => {
  const admin = openAdmin()
  const api = await startLimited(admin, '&member:*')
  const gateway = await stack.listen('broadcast:all', channel)
  const { memberId: _, ...content } = hello
  const broadcasts: unknown[] = []
  for (let count = 0; count < 250; count++) {
    const { status, body } = await api.post('/notification/broadcast', content)
    expect(status).toBe(201)
    broadcasts.push(body['notificationId'])
  }
  expect(await stack.count('outbox_deferred')).toBe(250)
  const sent: unknown[] = []
  for (let count = 0; count < 20; count++) {
    const { body } = await api.send(hello)
    expect(body['online']).toBe(true)
    sent.push(body['notificationId'])
  }
  await waitFor(async () => /^tidings_outbox_parked 250$/m.test(await api.ops('/metrics')), { what: 'the metric' })
  await waitFor(async () => (await stack.rows('SELECT 1 FROM outbox_deferred WHERE attempts >= 3')).length === 1, {
    deadlineMs: sweepDeadlineMs,
    what: 'two more attempts at the first one',
  })
  expect(await admin.llen(historyKey('broadcast:all'))).toBe(0)
  expect(await api.ops('/metrics')).toMatch(/^tidings_circuit_open 0$/m)
  expect(api.logs.filter((line) => line.includes('redis refuses publications'))).toHaveLength(1)
  const [parked] = await stack.rows<{ reason: string }>('SELECT reason FROM outbox_deferred ORDER BY outbox_id LIMIT 1')
  expect(parked?.reason).toMatch(/NOPERM|user executing the script can't/)
  await admin.call('ACL', 'SETUSER', 'notify', '&broadcast:*')
  await waitFor(() => gateway.publications.length >= 270, { deadlineMs: 40_000, what: 'the broadcasts' })
  expect(idsOf(gateway.publications, 'broadcast:all')).toEqual(broadcasts)
  expect(idsOf(gateway.publications, channel)).toEqual(sent)
  expect(await admin.llen(historyKey('broadcast:all'))).toBe(250)
  await emptied()
  // Deleted by another statement than the rows.
  await waitFor(async () => (await stack.count('outbox_deferred')) === 0, { what: 'the deferrals to be deleted' })
})

test('the sweep parks old rows that Redis refuses, and publishes those behind them', async () => {
  await (await stack.start()).stop()
  const values = Array.from({ length: 250 }, (_, index) => ['broadcast:all', JSON.stringify({ notificationId: index })])
  await stack.rows('INSERT INTO outbox (channel, body) VALUES ?', [[...values, [channel, '{"notificationId":999}']]])
  await stack.rows('UPDATE outbox SET created_at = created_at - INTERVAL 1 MINUTE')
  const gateway = await stack.listen(channel)
  await startLimited(openAdmin(), '&member:*')
  await waitFor(() => gateway.publications.length === 1, { deadlineMs: sweepDeadlineMs, what: 'the row behind' })
  await waitFor(async () => (await stack.count('outbox')) === 250, { what: 'the published row to be deleted' })
})

test('an instance that stops in the middle of a sweep locks no rows: another one publishes them within the lease', async () => {
  // Waits for Redis for longer than the test takes.
  const holder = await stack.start({ PUBLISH_TIMEOUT_MS: '60000' })
  const held = async () => (await stack.rows("SELECT 1 FROM lease WHERE job = 'sweep' AND lease_until > NOW(3)")).length === 1
  await waitFor(held, { what: 'the first instance to sweep' })
  const gateway = await stack.listen(channel)
  stack.redis.pause()
  const values = Array.from({ length: 10 }, (_, index) => [channel, JSON.stringify({ notificationId: index })])
  await stack.rows('INSERT INTO outbox (channel, body) VALUES ?', [values])
  await stack.rows('INSERT INTO outbox_deferred (outbox_id, channel) SELECT outbox_id, channel FROM outbox')
  // In the middle of a sweep the lease is not renewed.
  await waitFor(async () => !(await held()), { deadlineMs: sweepDeadlineMs, what: 'the lease to end' })
  holder.pause()
  onTestFinished(() => holder.resume())
  stack.redis.resume()
  await stack.start()
  await waitFor(async () => (await stack.count('outbox')) === 0, { deadlineMs: 10_000, what: 'an empty outbox' })
  await waitFor(() => gateway.publications.length >= 10, { what: 'the rows' })
})

test('a repeat after a crash is answered when its notification is ahead of all later ones', async () => {
  const api = await stack.start({ PUBLISH_TIMEOUT_MS: '20000' })
  const key = { 'idempotency-key': 'crashed' }
  stack.redis.pause()
  const unfinished = api.send(hello, key).catch(() => 'no response')
  await waitFor(async () => (await stack.count('outbox')) === 1, { what: 'the commit' })
  await api.kill()
  expect(await unfinished).toBe('no response')
  const gateway = await listenToRestarted(channel)
  await api.again()
  const again = await waitFor(
    async () => {
      const response = await api.send(hello, key)
      return response.status === 201 ? response : undefined
    },
    { deadlineMs: sweepDeadlineMs, what: 'the response to the repeat' },
  )
  const later = await api.send(hello)
  await waitFor(() => gateway.publications.length >= 2, { deadlineMs: sweepDeadlineMs, what: 'both' })
  expect(idsOf(gateway.publications, channel)).toEqual([again, later].map(({ body }) => body['notificationId']))
})
