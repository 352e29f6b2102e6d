import { type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Bed, connected, openBed, ops, ready, subscribed } from './fixture/gateway.ts'

let bed: Bed
let gateway: ServiceProcess

beforeAll(async () => {
  bed = await openBed()
  gateway = await bed.gateway()
})
// A test that fails while Redis stands still takes no other with it.
afterEach(() => bed.redis.resume())
afterAll(() => bed.close())

test('/ready is 503 soon after Redis stops answering, while /live stays 200, and 200 again when it is back', async () => {
  bed.redis.pause()
  const beganAt = performance.now()
  const { text } = await waitFor(
    async () => {
      const answer = await ops(gateway, '/ready')
      return answer.status === 503 && answer
    },
    { what: '503', deadlineMs: 20_000 },
  )
  // Three seconds, and what a busy machine adds.
  expect(performance.now() - beganAt).toBeLessThan(10_000)
  expect(JSON.parse(text)).toEqual({ ready: false, failing: ['redis'] })
  expect((await ops(gateway, '/live')).status).toBe(200)
  bed.redis.resume()
  await ready(gateway)
})

test('/metrics has what an operator looks at', async () => {
  const session = await connected(gateway, { memberId: 1 })
  await subscribed(session, '0', '/member/queue/notification')
  await session.leaves()
  const counted = async () => {
    const { text: now } = await ops(gateway, '/metrics')
    return /^tidings_gateway_closes_total\{code="1000"\} 1$/m.test(now) && now
  }
  const text = await waitFor(counted, { what: 'the session that left', deadlineMs: 20_000 })
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

test('codes that clients make up are one time series', async () => {
  for (const code of [3_000, 3_001, 4_999]) {
    const session = await connected(gateway, { memberId: 1 })
    session.socket.close(code)
    await session.closed()
  }
  await waitFor(async () => (await ops(gateway, '/metrics')).text.includes('closes_total{code="other"} 3'), {
    what: 'three others',
    deadlineMs: 20_000,
  })
})

test('/session shows what each session of a member holds', async () => {
  const session = await connected(gateway, { memberId: 2, version: '1.1' })
  await subscribed(session, 'a', '/member/queue/notification', { ack: 'client' })
  await subscribed(session, 'b', '/member/queue/session')
  const { status, text } = await ops(gateway, '/session?memberId=2')
  expect([status, JSON.parse(text)]).toEqual([
    200,
    {
      sessions: [
        {
          sessionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          memberId: 2,
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
  expect(text).not.toContain('eyJ')
  expect(JSON.parse((await ops(gateway, '/session?memberId=99')).text)).toEqual({ sessions: [] })
  const refused = await ops(gateway, '/session?memberId=x')
  expect(JSON.parse(refused.text)).toMatchObject({ status: 400, title: 'Bad Request', detail: 'memberId must be a member id' })
  expect(refused.status).toBe(400)
})

test('a draining gateway is alive and not ready', async () => {
  // One session goes at once and one stays, for as long as we take to ask.
  const draining = await bed.gateway({ DRAIN_SECONDS: '60' })
  const session = await connected(draining, { memberId: 3 })
  const other = await connected(draining, { memberId: 3 })
  void draining.kill('SIGTERM')
  await Promise.race([session.closed(), other.closed()])
  const { status, text } = await ops(draining, '/ready')
  expect([status, JSON.parse(text)]).toEqual([503, { ready: false, failing: ['draining'] }])
  expect((await ops(draining, '/live')).status).toBe(200)
  for (const each of [session, other]) each.socket.terminate()
  await draining.exited
})
