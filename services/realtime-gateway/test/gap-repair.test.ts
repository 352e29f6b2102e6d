import { type RawSession, type ServiceProcess, startService, waitFor } from '@tidings/local'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  type Bed,
  bodies,
  connected,
  message,
  metric,
  nothingElse,
  numbers,
  openBed,
  ops,
  ready,
  sendFrame,
  subscribed,
} from './fixture/gateway.ts'

let bed: Bed
let gateway: ServiceProcess
let memberId = 0

beforeAll(async () => {
  bed = await openBed()
  gateway = await bed.gateway()
})
// A test that fails while Redis stands still takes no other with it.
afterEach(() => bed.redis.resume())
afterAll(() => bed.close())

const queue = '/member/queue/notification'
const channel = () => `member:${memberId}:notification`

/** A new member's session that listens to its notifications and to the gateway's own word. */
async function listening(headers = {}): Promise<RawSession> {
  memberId++
  const session = await connected(gateway, { memberId })
  await subscribed(session, '0', queue, headers)
  await subscribed(session, 'session', '/member/queue/session')
  return session
}

/** The gateway's connections to Redis: which of them are there, and their ids. */
async function connections(name: 'subscriber' | 'history'): Promise<string[]> {
  const list = String(await bed.publisher.redis.client('LIST'))
  const lines = list.split('\n').filter((line) => line.includes(`name=realtime-gateway:${name} `))
  return lines.map((line) => /^id=(\d+)/.exec(line)?.[1] ?? '')
}

async function cutConnections(...names: ('subscriber' | 'history')[]): Promise<void> {
  for (const name of names) for (const id of await connections(name)) await bed.publisher.redis.client('KILL', 'ID', id)
}

/** How often the gateway has lost its connection. */
function losses(): number {
  return gateway.logs.filter((line) => line.includes('redis connection lost')).length
}

/** How often Redis was given a command. */
async function calls(command: string): Promise<number> {
  const statistics = await (bed.publisher.redis as Redis).info('commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(statistics)?.[1] ?? 0)
}

test('a skipped publication is read from the history, and delivered before what is newer', async () => {
  const session = await listening()
  const repairs = await metric(gateway, 'gap_repairs_total')
  await bed.publisher.publish(channel(), '1')
  await bed.publisher.append(channel(), '2')
  await bed.publisher.append(channel(), '3')
  await bed.publisher.publish(channel(), '4')
  expect(await bodies(session, 4)).toEqual(numbers(1, 4))
  await nothingElse(session)
  expect(await metric(gateway, 'gap_repairs_total')).toBe(repairs + 1)
})

test('a skipped publication that the history no longer has is a gap, told once', async () => {
  const session = await listening()
  await bed.publisher.publish(channel(), '1')
  for (const body of numbers(2, 5)) await bed.publisher.append(channel(), body)
  await bed.publisher.publish(channel(), '6', 2)
  const frames = [await message(session), await message(session), await message(session), await message(session)]
  expect(frames.map(({ body }) => body)).toEqual(['1', `{"type":"gap","destination":"${queue}"}`, '5', '6'])
  await nothingElse(session)
})

test.each(['auto', 'client'])('ack:%s: the connection is cut, and publications go on', async (ack) => {
  const session = await listening({ ack })
  const all = numbers(1, 90)
  for (const body of all) {
    await bed.publisher.publish(channel(), body)
    if (Number(body) % 15 === 0)
      await cutConnections(...(Number(body) % 2 ? (['history'] as const) : (['subscriber', 'history'] as const)))
  }
  expect(await bodies(session, 90)).toEqual(all)
  await nothingElse(session)
})

test('Redis stands still and goes on: nothing is lost, the sockets stay open', async () => {
  const session = await listening()
  await bed.publisher.publish(channel(), '1')
  // Redis answers the publisher before it writes to the gateway: paused in between, it would keep the publication to itself.
  expect(await bodies(session, 1)).toEqual(['1'])
  const before = losses()
  bed.redis.pause()
  const late = Promise.all(numbers(2, 20).map((body) => bed.publisher.publish(channel(), body)))
  // Longer than the gateway believes a silent connection.
  await waitFor(() => losses() > before, { what: 'the loss', deadlineMs: 25_000 })
  sendFrame(session, 'BEGIN', { transaction: 't', receipt: 'alive' })
  expect((await session.nextFrame()).headers.get('receipt-id')).toBe('alive')
  bed.redis.resume()
  await late
  expect(await bodies(session, 19)).toEqual(numbers(2, 20))
  await nothingElse(session)
})

test('SUBSCRIBE while Redis is away completes when it is back', async () => {
  memberId++
  const session = await connected(gateway, { memberId })
  const last = await bed.publisher.publish(channel(), '1')
  bed.redis.pause()
  sendFrame(session, 'SUBSCRIBE', { id: '0', destination: queue, 'last-message-id': last, receipt: 'r' })
  sendFrame(session, 'SUBSCRIBE', { id: '1', destination: '/topic/away', receipt: 's' })
  await waitFor(async () => (await ops(gateway, '/ready')).status === 503, { what: 'the canary', deadlineMs: 20_000 })
  expect(session.framesWaiting).toBe(0)
  bed.redis.resume()
  expect((await session.nextFrame(20_000)).headers.get('recovered')).toBe('true')
  expect((await session.nextFrame(20_000)).headers.get('receipt-id')).toBe('s')
  await ready(gateway)
  await bed.publisher.publish(channel(), '2')
  expect(await bodies(session, 1)).toEqual(['2'])
})

test('a session that ends while its SUBSCRIBE waits leaves nothing behind', async () => {
  memberId++
  const session = await connected(gateway, { memberId })
  bed.redis.pause()
  sendFrame(session, 'SUBSCRIBE', { id: '0', destination: '/topic/leaver' })
  sendFrame(session, 'BEGIN', { transaction: 't' })
  await waitFor(async () => (await ops(gateway, `/session?memberId=${memberId}`)).text.includes('/topic/leaver'), {
    what: 'SUBSCRIBE',
    deadlineMs: 20_000,
  })
  await session.leaves()
  bed.redis.resume()
  await ready(gateway)
  const listeners = async () => ((await bed.publisher.redis.pubsub('NUMSUB', 'broadcast:leaver')) as [string, number])[1]
  await waitFor(async () => (await listeners()) === 0, { what: 'the channel to be left', deadlineMs: 20_000 })
})

test('Redis restarts without its data: a gap for who had messages, nothing for who had none, then the new epoch', async () => {
  const session = await listening()
  const idle = await connected(gateway, { memberId: 1_000_000 })
  await subscribed(idle, '0', queue)
  await subscribed(idle, 'session', '/member/queue/session')
  const before = await bed.publisher.publish(channel(), '1')
  expect(await bodies(session, 1)).toEqual(['1'])
  const gaps = await metric(gateway, 'gaps_total')
  await bed.redis.restart()
  expect(JSON.parse((await message(session, 15_000)).body)).toEqual({ type: 'gap', destination: queue })
  await ready(gateway)
  const after = await bed.publisher.publish(channel(), '2')
  const { headers, body } = await message(session)
  expect([body, headers.get('message-id'), after.endsWith('-1'), before.split('-')[0] !== after.split('-')[0]]).toEqual([
    '2',
    after,
    true,
    true,
  ])
  await bed.publisher.publish('member:1000000:notification', '1')
  expect(await bodies(idle, 1)).toEqual(['1'])
  await nothingElse(idle)
  await nothingElse(session)
  expect(await metric(gateway, 'gaps_total')).toBeGreaterThan(gaps)
})

test('publications right after a restart are not lost', async () => {
  const session = await listening()
  await bed.redis.restart()
  const all = numbers(1, 50)
  for (const body of all) await bed.publisher.publish(channel(), body)
  expect(await bodies(session, 50)).toEqual(all)
  await nothingElse(session)
})

test('a key that is no history stops nobody', async () => {
  memberId++
  await bed.publisher.redis.set(`{${channel()}}:history`, 'text')
  await bed.publisher.redis.rpush('{broadcast:odd}:history', 'no position')
  const session = await connected(gateway, { memberId })
  expect((await subscribed(session, '0', queue)).headers.get('position')).toMatch(/^\d{13}-0$/)
  expect((await subscribed(session, '1', '/topic/odd', { 'last-message-id': '1-1' })).headers.get('recovered')).toBe('false')
  await subscribed(session, '2', '/topic/sound')
  await bed.publisher.publish('broadcast:sound', '1')
  expect(await bodies(session, 1)).toEqual(['1'])
})

test('a foreign publisher that counts otherwise stops nobody', async () => {
  const session = await listening()
  await bed.publisher.publish(channel(), '1')
  const before = await calls('evalsha')
  for (let jump = 1; jump <= 20; jump++) await bed.publisher.send(channel(), `${jump}-${jump * 100}\nforeign ${jump}`)
  await bed.publisher.publish(channel(), '2')
  const foreign = Array.from({ length: 20 }, (_, index) => `foreign ${index + 1}`)
  expect(new Set(await bodies(session, 22))).toEqual(new Set(['1', '2', ...foreign]))
  await nothingElse(session)
  expect((await calls('evalsha')) - before).toBeLessThan(60)
})

test('SUBSCRIBEs go to Redis in batches, at first and after a reconnect', async () => {
  const sessions = await Promise.all(Array.from({ length: 50 }, (_, index) => connected(gateway, { memberId: 2_000 + index })))
  let before = await calls('subscribe')
  // All are there before it reads the first: on a busy machine it would find them one by one.
  gateway.pause()
  for (const session of sessions) sendFrame(session, 'SUBSCRIBE', { id: '0', destination: queue, receipt: '0' })
  gateway.resume()
  await Promise.all(sessions.map((session) => session.nextFrame()))
  expect((await calls('subscribe')) - before).toBeLessThan(25)
  before = await calls('subscribe')
  await cutConnections('subscriber')
  await waitFor(async () => (await calls('subscribe')) > before, { what: 'the reconnect', deadlineMs: 20_000 })
  await ready(gateway)
  expect((await calls('subscribe')) - before).toBeLessThan(4)
  for (const [index, session] of sessions.entries()) {
    await bed.publisher.publish(`member:${2_000 + index}:notification`, `${index}`)
    expect(await bodies(session, 1)).toEqual([`${index}`])
  }
})

test('the gateway starts while Redis is away, and serves when it comes', async () => {
  bed.redis.pause()
  // Not `bed.gateway`, which waits for it to be ready.
  const early = await startService('realtime-gateway', { REDIS_URL: bed.redis.url })
  try {
    expect((await ops(early, '/ready')).status).toBe(503)
    expect((await ops(early, '/live')).status).toBe(200)
    const session = await connected(early, { memberId: 3_000 })
    sendFrame(session, 'SUBSCRIBE', { id: '0', destination: queue, receipt: '0' })
    bed.redis.resume()
    expect((await session.nextFrame(15_000)).headers.get('receipt-id')).toBe('0')
  } finally {
    await early.kill()
  }
})
