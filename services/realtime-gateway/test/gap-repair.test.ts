import { type RawSession, type ServiceProcess, startService, waitFor } from '@tidings/local'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  expectNothingElse,
  fetchOps,
  type GatewayStack,
  nextBodies,
  nextMessage,
  numberStrings,
  openSession,
  readMetric,
  sendFrame,
  startGatewayStack,
  subscribe,
  waitUntilReady,
} from './fixture/gateway.ts'

let stack: GatewayStack
let gateway: ServiceProcess
let memberId = 0

beforeAll(async () => {
  stack = await startGatewayStack()
  gateway = await stack.startGateway()
})
// A test that fails while Redis is paused must not make the others fail.
afterEach(() => stack.redis.resume())
afterAll(() => stack.close())

const queue = '/member/queue/notification'
const channel = () => `member:${memberId}:notification`

/** Opens a session of a new member, subscribed to its notifications and to `/member/queue/session`. */
async function openSubscribedSession(headers = {}): Promise<RawSession> {
  memberId++
  const session = await openSession(gateway, { memberId })
  await subscribe(session, '0', queue, headers)
  await subscribe(session, 'session', '/member/queue/session')
  return session
}

/** Resolves to the Redis client ids of the gateway's connections with this name. */
async function redisConnectionIds(name: 'subscriber' | 'history'): Promise<string[]> {
  const list = String(await stack.publisher.redis.client('LIST'))
  const lines = list.split('\n').filter((line) => line.includes(`name=realtime-gateway:${name} `))
  return lines.map((line) => /^id=(\d+)/.exec(line)?.[1] ?? '')
}

async function killRedisConnections(...names: ('subscriber' | 'history')[]): Promise<void> {
  for (const name of names) for (const id of await redisConnectionIds(name)) await stack.publisher.redis.client('KILL', 'ID', id)
}

/** Returns how often the gateway has logged a lost Redis connection. */
function loggedConnectionLosses(): number {
  return gateway.logs.filter((line) => line.includes('redis connection lost')).length
}

/** Resolves to the number of times that Redis has run a command. */
async function commandCalls(command: string): Promise<number> {
  const statistics = await (stack.publisher.redis as Redis).info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(statistics)?.[1] ?? 0)
}

test('reads missed publications from the history, and delivers them before newer ones', async () => {
  const session = await openSubscribedSession()
  const repairs = await readMetric(gateway, 'gap_repairs_total')
  await stack.publisher.publish(channel(), '1')
  await stack.publisher.appendToHistory(channel(), '2')
  await stack.publisher.appendToHistory(channel(), '3')
  await stack.publisher.publish(channel(), '4')
  expect(await nextBodies(session, 4)).toEqual(numberStrings(1, 4))
  await expectNothingElse(session)
  expect(await readMetric(gateway, 'gap_repairs_total')).toBe(repairs + 1)
})

test('sends one gap when the history no longer holds the missed publications', async () => {
  const session = await openSubscribedSession()
  await stack.publisher.publish(channel(), '1')
  for (const body of numberStrings(2, 5)) await stack.publisher.appendToHistory(channel(), body)
  await stack.publisher.publish(channel(), '6', 2)
  const frames = [await nextMessage(session), await nextMessage(session), await nextMessage(session), await nextMessage(session)]
  expect(frames.map(({ body }) => body)).toEqual(['1', `{"type":"gap","destination":"${queue}"}`, '5', '6'])
  await expectNothingElse(session)
})

test.each(['auto', 'client'])(
  'ack:%s: delivers everything in order while the Redis connections are killed repeatedly',
  async (ack) => {
    const session = await openSubscribedSession({ ack })
    const all = numberStrings(1, 90)
    for (const body of all) {
      await stack.publisher.publish(channel(), body)
      if (Number(body) % 15 === 0)
        await killRedisConnections(...(Number(body) % 2 ? (['history'] as const) : (['subscriber', 'history'] as const)))
    }
    expect(await nextBodies(session, 90)).toEqual(all)
    await expectNothingElse(session)
  },
)

test('keeps the sockets open while Redis is paused, and delivers everything afterwards', async () => {
  const session = await openSubscribedSession()
  await stack.publisher.publish(channel(), '1')
  // Wait for the publication before pausing: Redis replies to the publisher before it writes to the gateway.
  expect(await nextBodies(session, 1)).toEqual(['1'])
  const lossesBefore = loggedConnectionLosses()
  stack.redis.pause()
  const publishing = Promise.all(numberStrings(2, 20).map((body) => stack.publisher.publish(channel(), body)))
  // The pause lasts longer than the time after which the gateway drops a silent connection.
  await waitFor(() => loggedConnectionLosses() > lossesBefore, {
    what: 'the gateway to drop the Redis connection',
    deadlineMs: 25_000,
  })
  sendFrame(session, 'BEGIN', { transaction: 't', receipt: 'alive' })
  expect((await session.nextFrame()).headers.get('receipt-id')).toBe('alive')
  stack.redis.resume()
  await publishing
  expect(await nextBodies(session, 19)).toEqual(numberStrings(2, 20))
  await expectNothingElse(session)
})

test('completes a SUBSCRIBE that was sent while Redis was paused', async () => {
  memberId++
  const session = await openSession(gateway, { memberId })
  const last = await stack.publisher.publish(channel(), '1')
  stack.redis.pause()
  sendFrame(session, 'SUBSCRIBE', { id: '0', destination: queue, 'last-message-id': last, receipt: 'r' })
  sendFrame(session, 'SUBSCRIBE', { id: '1', destination: '/topic/away', receipt: 's' })
  await waitFor(async () => (await fetchOps(gateway, '/ready')).status === 503, {
    what: '/ready to return 503',
    deadlineMs: 20_000,
  })
  expect(session.framesWaiting).toBe(0)
  stack.redis.resume()
  expect((await session.nextFrame(20_000)).headers.get('recovered')).toBe('true')
  expect((await session.nextFrame(20_000)).headers.get('receipt-id')).toBe('s')
  await waitUntilReady(gateway)
  await stack.publisher.publish(channel(), '2')
  expect(await nextBodies(session, 1)).toEqual(['2'])
})

test('unsubscribes from the channel of a session that ended while its SUBSCRIBE waited for Redis', async () => {
  memberId++
  const session = await openSession(gateway, { memberId })
  stack.redis.pause()
  sendFrame(session, 'SUBSCRIBE', { id: '0', destination: '/topic/abandoned' })
  sendFrame(session, 'BEGIN', { transaction: 't' })
  await waitFor(async () => (await fetchOps(gateway, `/session?memberId=${memberId}`)).text.includes('/topic/abandoned'), {
    what: 'the SUBSCRIBE to arrive',
    deadlineMs: 20_000,
  })
  await session.leaves()
  stack.redis.resume()
  await waitUntilReady(gateway)
  const redisSubscribers = async () =>
    ((await stack.publisher.redis.pubsub('NUMSUB', 'broadcast:abandoned')) as [string, number])[1]
  await waitFor(async () => (await redisSubscribers()) === 0, {
    what: 'the gateway to unsubscribe from the channel',
    deadlineMs: 20_000,
  })
})

test('sends a gap after Redis restarts empty, also for a channel that was empty before, and continues in the new epoch', async () => {
  const session = await openSubscribedSession()
  const idle = await openSession(gateway, { memberId: 1_000_000 })
  await subscribe(idle, '0', queue)
  await subscribe(idle, 'session', '/member/queue/session')
  const before = await stack.publisher.publish(channel(), '1')
  expect(await nextBodies(session, 1)).toEqual(['1'])
  const gaps = await readMetric(gateway, 'gaps_total')
  await stack.redis.restart()
  expect(JSON.parse((await nextMessage(session, 15_000)).body)).toEqual({ type: 'gap', destination: queue })
  // A publication of the time in between may have been lost: an empty channel may have held it.
  expect(JSON.parse((await nextMessage(idle, 15_000)).body)).toEqual({ type: 'gap', destination: queue })
  await waitUntilReady(gateway)
  const after = await stack.publisher.publish(channel(), '2')
  const { headers, body } = await nextMessage(session)
  expect([body, headers.get('message-id'), after.endsWith('-1'), before.split('-')[0] !== after.split('-')[0]]).toEqual([
    '2',
    after,
    true,
    true,
  ])
  await stack.publisher.publish('member:1000000:notification', '1')
  expect(await nextBodies(idle, 1)).toEqual(['1'])
  await expectNothingElse(idle)
  await expectNothingElse(session)
  expect(await readMetric(gateway, 'gaps_total')).toBeGreaterThan(gaps)
})

test('delivers publications that are made right after Redis has restarted', async () => {
  const session = await openSubscribedSession()
  await stack.redis.restart()
  const all = numberStrings(1, 50)
  for (const body of all) await stack.publisher.publish(channel(), body)
  const received = await nextBodies(session, 51)
  expect(received.filter((body) => !body.includes('gap'))).toEqual(all)
  expect(received.filter((body) => body.includes('gap')).map((body) => JSON.parse(body))).toEqual([
    { type: 'gap', destination: queue },
  ])
  await expectNothingElse(session)
})

test('accepts a SUBSCRIBE although the history key holds something else, and keeps serving other channels', async () => {
  memberId++
  await stack.publisher.redis.set(`{${channel()}}:history`, 'text')
  await stack.publisher.redis.rpush('{broadcast:odd}:history', 'no position')
  const session = await openSession(gateway, { memberId })
  expect((await subscribe(session, '0', queue)).headers.get('position')).toMatch(/^\d{15}-0$/)
  expect((await subscribe(session, '1', '/topic/odd', { 'last-message-id': '1-1' })).headers.get('recovered')).toBe('false')
  await subscribe(session, '2', '/topic/sound')
  await stack.publisher.publish('broadcast:sound', '1')
  expect(await nextBodies(session, 1)).toEqual(['1'])
})

test('delivers the publications of a foreign publisher whose offsets jump, with a bounded number of history reads', async () => {
  const session = await openSubscribedSession()
  await stack.publisher.publish(channel(), '1')
  const before = await commandCalls('evalsha')
  for (let jump = 1; jump <= 20; jump++) await stack.publisher.publishRaw(channel(), `${jump}-${jump * 100}\nforeign ${jump}`)
  await stack.publisher.publish(channel(), '2')
  const foreign = Array.from({ length: 20 }, (_, index) => `foreign ${index + 1}`)
  expect(new Set(await nextBodies(session, 22))).toEqual(new Set(['1', '2', ...foreign]))
  await expectNothingElse(session)
  expect((await commandCalls('evalsha')) - before).toBeLessThan(60)
})

test('subscribes to Redis channels in batches, at first and after a reconnect', async () => {
  const sessions = await Promise.all(Array.from({ length: 50 }, (_, index) => openSession(gateway, { memberId: 2_000 + index })))
  let before = await commandCalls('subscribe')
  // Paused, so that all frames have arrived before the gateway reads the first: on a busy machine they would arrive one by one.
  gateway.pause()
  for (const session of sessions) sendFrame(session, 'SUBSCRIBE', { id: '0', destination: queue, receipt: '0' })
  gateway.resume()
  await Promise.all(sessions.map((session) => session.nextFrame()))
  expect((await commandCalls('subscribe')) - before).toBeLessThan(25)
  before = await commandCalls('subscribe')
  await killRedisConnections('subscriber')
  await waitFor(async () => (await commandCalls('subscribe')) > before, { what: 'the reconnect', deadlineMs: 20_000 })
  await waitUntilReady(gateway)
  expect((await commandCalls('subscribe')) - before).toBeLessThan(4)
  for (const [index, session] of sessions.entries()) {
    await stack.publisher.publish(`member:${2_000 + index}:notification`, `${index}`)
    expect(await nextBodies(session, 1)).toEqual([`${index}`])
  }
})

test('starts while Redis is paused, and serves once Redis is back', async () => {
  stack.redis.pause()
  // `stack.startGateway` would wait until the gateway is ready.
  const early = await startService('realtime-gateway', { REDIS_URL: stack.redis.url })
  try {
    expect((await fetchOps(early, '/ready')).status).toBe(503)
    expect((await fetchOps(early, '/live')).status).toBe(200)
    const session = await openSession(early, { memberId: 3_000 })
    sendFrame(session, 'SUBSCRIBE', { id: '0', destination: queue, receipt: '0' })
    stack.redis.resume()
    expect((await session.nextFrame(15_000)).headers.get('receipt-id')).toBe('0')
  } finally {
    await early.kill()
  }
})
