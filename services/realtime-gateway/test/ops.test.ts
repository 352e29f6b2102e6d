import { type RawSession, type ServiceProcess, startService, waitFor } from '@tidings/local'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  fetchOps,
  type GatewayStack,
  nextMessage,
  openSession,
  readMetric,
  startGatewayStack,
  subscribe,
  waitUntilReady,
} from './fixture/gateway.ts'

let stack: GatewayStack
let gateway: ServiceProcess

beforeAll(async () => {
  stack = await startGatewayStack()
  gateway = await stack.startGateway()
})
// A test that fails while Redis is paused must not make the others fail.
afterEach(() => stack.redis.resume())
afterAll(() => stack.close())

test('/ready returns 503 while Redis does not respond and 200 when it is back; /live returns 200 throughout', async () => {
  stack.redis.pause()
  const pausedAt = performance.now()
  const { text } = await waitFor(
    async () => {
      const response = await fetchOps(gateway, '/ready')
      return response.status === 503 && response
    },
    { what: '/ready to return 503', deadlineMs: 20_000 },
  )
  // Three seconds, plus a margin for a busy machine.
  expect(performance.now() - pausedAt).toBeLessThan(10_000)
  expect(JSON.parse(text)).toEqual({ ready: false, failing: ['redis'] })
  expect((await fetchOps(gateway, '/live')).status).toBe(200)
  expect((await fetchOps(gateway, '/metrics')).text).toContain('\ntidings_ready 0\n')
  stack.redis.resume()
  await waitUntilReady(gateway)
  expect((await fetchOps(gateway, '/metrics')).text).toContain('\ntidings_ready 1\n')
})

test('/ready returns 503 while Redis refuses to store publications, the log states why, and 200 afterwards', async () => {
  const faults = [
    { reply: 'OOM', begin: ['CONFIG', 'SET', 'maxmemory', '1'], end: ['CONFIG', 'SET', 'maxmemory', '0'] },
    {
      reply: 'NOREPLICAS',
      begin: ['CONFIG', 'SET', 'min-replicas-to-write', '1'],
      end: ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
    },
    { reply: 'READONLY', begin: ['REPLICAOF', '127.0.0.1', '1'], end: ['REPLICAOF', 'NO', 'ONE'] },
  ]
  // At the same time, each with a Redis of its own: a canary is missed after three seconds.
  await Promise.all(
    faults.map(async ({ reply, begin, end }) => {
      const faulty = await startGatewayStack()
      try {
        const observed = await faulty.startGateway()
        await faulty.publisher.redis.call(...(begin as [string, ...string[]]))
        const notReady = async () => (await fetchOps(observed, '/ready')).text === '{"ready":false,"failing":["redis"]}'
        await waitFor(notReady, { what: `/ready to return 503 after ${reply}`, deadlineMs: 20_000 })
        expect(observed.logs.filter((line) => line.includes('canary not published') && line.includes(reply))).not.toHaveLength(0)
        await faulty.publisher.redis.call(...(end as [string, ...string[]]))
        await waitUntilReady(observed)
      } finally {
        await faulty.close()
      }
    }),
  )
})

test('each canary replaces the last one in Redis', async () => {
  const { redis } = stack.publisher
  const key = await waitFor(async () => (await redis.keys('{gateway:canary:*}:history'))[0], {
    what: 'a canary',
    deadlineMs: 20_000,
  })
  const first = await redis.lrange(key, 0, -1)
  await waitFor(async () => (await redis.lrange(key, 0, -1))[0] !== first[0], { what: 'the next canary', deadlineMs: 20_000 })
  expect([await redis.llen(key), (await redis.ttl(key)) > 0]).toEqual([1, true])
})

test('/metrics contains every metric of the gateway and the event loop lag', async () => {
  const session = await openSession(gateway, { memberId: 1 })
  await subscribe(session, '0', '/member/queue/notification')
  await session.leaves()
  const metricsWithClose = async () => {
    const { text: metrics } = await fetchOps(gateway, '/metrics')
    return /^tidings_gateway_closes_total\{code="1000"\} 1$/m.test(metrics) && metrics
  }
  const text = await waitFor(metricsWithClose, { what: 'the close to be counted', deadlineMs: 20_000 })
  for (const name of [
    'sessions',
    'subscriptions',
    'channels',
    'publications_total',
    'deliveries_total',
    'sent_bytes_total',
    'closes_total',
    'refused_upgrades_total',
    'resumes_total',
    'gap_repairs_total',
    'gaps_total',
    'publish_to_socket_seconds',
    'redis_lag_seconds',
  ]) {
    expect(text).toContain(`\n# HELP tidings_gateway_${name} `.trimStart())
  }
  expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m)
})

test('a subscription, a publication and a resume move the metrics of delivery', async () => {
  const fresh = await stack.startGateway()
  const read = async () => ({
    sessions: await readMetric(fresh, 'sessions'),
    subscriptions: await readMetric(fresh, 'subscriptions'),
    channels: await readMetric(fresh, 'channels'),
    publications: await readMetric(fresh, 'publications_total'),
    deliveries: await readMetric(fresh, 'deliveries_total'),
    ticks: await readMetric(fresh, 'publish_to_socket_seconds_count'),
    lost: await readMetric(fresh, 'resumes_total{recovered="false"}'),
    resumed: await readMetric(fresh, 'resumes_total{recovered="true"}'),
  })
  const sessions = [await openSession(fresh, { memberId: 4 }), await openSession(fresh, { memberId: 4 })]
  for (const session of sessions) await subscribe(session, '0', '/member/queue/notification')
  const opened = { sessions: 2, subscriptions: 2, channels: 1, publications: 0, deliveries: 0, ticks: 0, lost: 0, resumed: 0 }
  expect(await read()).toEqual(opened)

  const bytesBefore = await readMetric(fresh, 'sent_bytes_total')
  const position = await stack.publisher.publish('member:4:notification', 'x'.repeat(1_000))
  for (const session of sessions) await nextMessage(session)
  const delivered = { ...opened, publications: 1, deliveries: 2, ticks: 1 }
  expect(await read()).toEqual(delivered)
  expect(await readMetric(fresh, 'sent_bytes_total')).toBeGreaterThan(bytesBefore + 2_000)

  const [session] = sessions as [RawSession]
  await subscribe(session, '1', '/member/queue/notification', { 'last-message-id': '1-1' })
  await nextMessage(session)
  await subscribe(session, '2', '/member/queue/notification', { 'last-message-id': position })
  expect(await read()).toEqual({ ...delivered, subscriptions: 4, lost: 1, resumed: 1 })

  for (const each of sessions) await each.leaves()
  await waitFor(
    async () => {
      const { sessions: open, subscriptions, channels } = await read()
      return open + subscriptions + channels === 0
    },
    { what: 'sessions, subscriptions and channels to be released', deadlineMs: 30_000 },
  )
})

test('redis_lag_seconds changes with every canary', async () => {
  const values = new Set<number>()
  await waitFor(
    async () => {
      values.add(await readMetric(gateway, 'redis_lag_seconds{shard="redis"}'))
      return values.size >= 3
    },
    { what: 'three canaries', deadlineMs: 20_000 },
  )
  for (const value of values) expect(value).toBeGreaterThan(0)
})

test('counts all close codes chosen by clients under the label "other"', async () => {
  for (const code of [3_000, 3_001, 4_999]) {
    const session = await openSession(gateway, { memberId: 1 })
    session.socket.close(code)
    await session.closed()
  }
  await waitFor(async () => (await fetchOps(gateway, '/metrics')).text.includes('closes_total{code="other"} 3'), {
    what: 'three closes with code "other"',
    deadlineMs: 20_000,
  })
})

test.each([2, 'auth0|2+2'])(
  '/session lists the sessions of member %s with their subscriptions, and no token',
  async (memberId) => {
    const session = await openSession(gateway, { memberId, version: '1.1' })
    await subscribe(session, 'a', '/member/queue/notification', { ack: 'client' })
    await subscribe(session, 'b', '/member/queue/session')
    const { status, text } = await fetchOps(gateway, `/session?memberId=${encodeURIComponent(memberId)}`)
    expect([status, JSON.parse(text)]).toEqual([
      200,
      {
        sessions: [
          {
            requestId: expect.any(String) as string,
            sessionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
            memberId,
            version: '1.1',
            connectedAt: expect.stringMatching(/Z$/),
            lastActivityAt: expect.stringMatching(/Z$/),
            expiresAt: expect.stringMatching(/Z$/),
            bufferedBytes: 0,
            subscriptions: [
              { id: 'a', destination: '/member/queue/notification', ack: 'client', unackedMessages: 0 },
              { id: 'b', destination: '/member/queue/session', ack: 'auto', unackedMessages: 0 },
            ],
          },
        ],
      },
    ])
    expect(text).not.toContain('eyJ') // the beginning of every JWT
    expect(JSON.parse((await fetchOps(gateway, '/session?memberId=99')).text)).toEqual({ sessions: [] })
    const refused = await fetchOps(gateway, '/session?memberId=a%20b')
    expect(JSON.parse(refused.text)).toMatchObject({ status: 400, title: 'Bad Request', detail: 'memberId must be a member id' })
    expect(refused.status).toBe(400)
  },
)

test('/ready returns 503 and /live 200 while the gateway drains', async () => {
  // One session is closed at once. The other one is due much later and keeps the gateway draining meanwhile.
  const draining = await stack.startGateway({ DRAIN_SECONDS: '60' })
  const session = await openSession(draining, { memberId: 3 })
  const other = await openSession(draining, { memberId: 3 })
  void draining.kill('SIGTERM')
  await Promise.race([session.closed(), other.closed()])
  const { status, text } = await fetchOps(draining, '/ready')
  expect([status, JSON.parse(text)]).toEqual([503, { ready: false, failing: ['draining'] }])
  expect((await fetchOps(draining, '/live')).status).toBe(200)
  for (const each of [session, other]) each.socket.terminate()
  await draining.exited
})

async function responds(url: string): Promise<boolean> {
  try {
    await fetch(url)
    return true
  } catch {
    return false
  }
}

// Other systems have only the first address of the loopback network.
test.skipIf(process.platform !== 'linux')('OPS_HOST is the address of the ops port alone', async () => {
  const service = await startService('realtime-gateway', { REDIS_URL: stack.redis.url, OPS_HOST: '127.0.0.2' })
  const origins = [
    `127.0.0.2:${service.opsPort}`,
    `127.0.0.1:${service.opsPort}`,
    `127.0.0.1:${service.port}`,
    `127.0.0.2:${service.port}`,
  ]
  expect(await Promise.all(origins.map((each) => responds(`http://${each}/live`)))).toEqual([true, false, true, false])
  await service.kill()
})
