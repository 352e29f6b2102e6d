import { randomUUID } from 'node:crypto'
import { type RawSession, type ServiceProcess, startRedis, waitFor } from '@tidings/local'
import { historyKey } from '@tidings/protocol'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  expectNothingElse,
  type GatewayStack,
  nextBodies,
  nextMessage,
  openSession,
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
afterAll(() => stack.close())

const deadlineMs = 20_000
const notificationQueue = '/member/queue/notification'

/** A member that subscribed to an empty channel and left: the destination, its channel, and the position that the RECEIPT gave. */
async function leaveEmptyChannel(queue = 'notification') {
  memberId++
  const destination = `/member/queue/${queue}`
  const session = await openSession(gateway, { memberId })
  const position = (await subscribe(session, '0', destination)).headers.get('position') ?? ''
  expect(position).toMatch(/-0$/)
  await session.leaves()
  return { memberId, destination, channel: `member:${memberId}:${queue}`, position }
}

/** Returns how often the gateway has connected to Redis and subscribed to its channels. */
function reconnections(): number {
  return gateway.logs.filter((line) => line.includes('redis subscriptions are up')).length
}

/** Restarts Redis, empty, and resolves when the gateway has noticed: until then it answers by what it has received. */
async function restartRedis(): Promise<void> {
  const before = reconnections()
  await stack.redis.restart()
  await waitFor(() => reconnections() > before, { what: 'the gateway to reconnect', deadlineMs })
}

type Away = Awaited<ReturnType<typeof leaveEmptyChannel>>

async function resume({ memberId: member, destination, position }: Away): Promise<{ session: RawSession; recovered: string }> {
  const session = await openSession(gateway, { memberId: member })
  const receipt = await subscribe(session, '0', destination, { 'last-message-id': position })
  return { session, recovered: receipt.headers.get('recovered') ?? '' }
}

test('a channel that was empty, and still is, resumes whole', async () => {
  const away = await leaveEmptyChannel()
  const { session, recovered } = await resume(away)
  expect(recovered).toBe('true')
  await expectNothingElse(session)
})

test('a channel that was empty resumes whole with everything published since', async () => {
  const away = await leaveEmptyChannel()
  await stack.publisher.publish(away.channel, '1')
  await stack.publisher.publish(away.channel, '2')
  const { session, recovered } = await resume(away)
  expect(recovered).toBe('true')
  expect(await nextBodies(session, 2)).toEqual(['1', '2'])
})

test.each(['notification', 'read', `task.${randomUUID()}`])(
  'a %s channel that was empty is reported as lost after Redis restarts empty',
  async (queue) => {
    const away = await leaveEmptyChannel(queue)
    await stack.publisher.publish(away.channel, '1')
    await restartRedis()
    expect((await resume(away)).recovered).toBe('false')
  },
)

test('a channel that was empty is reported as lost after FLUSHALL', async () => {
  const away = await leaveEmptyChannel()
  await stack.publisher.publish(away.channel, '1')
  await stack.publisher.redis.flushall()
  expect((await resume(away)).recovered).toBe('false')
})

test('a loss is reported also when a later publication has begun the history anew', async () => {
  const away = await leaveEmptyChannel()
  await stack.publisher.publish(away.channel, 'lost')
  await restartRedis()
  await stack.publisher.publish(away.channel, 'later')
  const { session, recovered } = await resume(away)
  expect(recovered).toBe('false')
  expect(await nextBodies(session, 1)).toEqual(['later'])
})

test('a channel that was empty is reported as lost after Redis evicted keys', async () => {
  const redis = stack.publisher.redis as Redis
  const away = await leaveEmptyChannel()
  await stack.publisher.publish(away.channel, '1')
  await redis.config('SET', 'maxmemory-policy', 'allkeys-random')
  await redis.config('SET', 'maxmemory', '1')
  await expect(redis.set('one key', 'more than fits')).rejects.toThrow('OOM')
  await redis.config('SET', 'maxmemory', '0')
  await redis.config('SET', 'maxmemory-policy', 'noeviction')
  expect(await redis.exists(historyKey(away.channel))).toBe(0)
  expect((await resume(away)).recovered).toBe('false')
  // The counter of evictions ends with the process.
  await restartRedis()
})

test('a session that stays connected is told when its empty channel may have lost publications', async () => {
  memberId++
  const session = await openSession(gateway, { memberId })
  await subscribe(session, 'session', '/member/queue/session')
  await subscribe(session, '0', notificationQueue)
  await stack.redis.restart()
  expect(JSON.parse((await nextMessage(session, deadlineMs)).body)).toEqual({ type: 'gap', destination: notificationQueue })
  await waitUntilReady(gateway)
})

test('a failover that lost the last publications is reported when the client resumes, not with the next publication', async () => {
  const master = stack.publisher.redis as Redis
  memberId++
  const channel = `member:${memberId}:notification`
  const position = await stack.publisher.publish(channel, '1')
  const replica = await startRedis()
  const admin = new Redis(replica.url)
  try {
    await admin.replicaof('127.0.0.1', stack.redis.port)
    await waitFor(async () => (await admin.exists(historyKey(channel))) === 1, { what: 'the replica', deadlineMs })
    await admin.replicaof('NO', 'ONE')
    await stack.publisher.publish(channel, '2') // which only the old master has
    const promoted = await stack.startGateway({ REDIS_URL: replica.url })
    const session = await openSession(promoted, { memberId })
    const receipt = await subscribe(session, '0', notificationQueue, { 'last-message-id': position })
    expect(receipt.headers.get('recovered')).toBe('false')
    await session.leaves()
  } finally {
    admin.disconnect()
    await replica.kill()
  }
  expect(await master.llen(historyKey(channel))).toBe(2)
})

test('the history of an earlier run is not continued: positions from before are lost, new ones begin at 1', async () => {
  const redis = stack.publisher.redis as Redis
  memberId++
  const channel = `member:${memberId}:notification`
  const before = await stack.publisher.publish(channel, '1')
  const record = (await redis.get('tidings:run')) ?? ''
  // Written by another process whose clock was ahead: its time lies in the future of this one.
  const [, since = '', tag = ''] = record.split(' ')
  await redis.set('tidings:run', `${'0'.repeat(40)} ${Number(since) + 60_000} ${tag}`)
  const session = await openSession(gateway, { memberId })
  const receipt = await subscribe(session, '0', notificationQueue, { 'last-message-id': before })
  expect(receipt.headers.get('recovered')).toBe('false')
  const after = await stack.publisher.publish(channel, '2')
  expect(await nextBodies(session, 1)).toEqual(['2'])
  expect([after.endsWith('-1'), after === before]).toEqual([true, false])
})
