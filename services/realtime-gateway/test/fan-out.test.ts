import { type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  expectNothingElse,
  type GatewayStack,
  nextBodies,
  nextMessage,
  numberStrings,
  openSession,
  readMetric,
  sendFrame,
  startGatewayStack,
  subscribe,
} from './fixture/gateway.ts'

let stack: GatewayStack
let gateways: ServiceProcess[]

beforeAll(async () => {
  stack = await startGatewayStack()
  gateways = await Promise.all([stack.startGateway(), stack.startGateway()])
})
afterAll(() => stack.close())

async function openSessionOnEachGateway(memberId: number): Promise<RawSession[]> {
  return Promise.all(gateways.map((gateway) => openSession(gateway, { memberId })))
}

test('delivers a publication to the sessions of its member on both gateways, and to no other member', async () => {
  const mine = await openSessionOnEachGateway(1)
  const theirs = await openSessionOnEachGateway(2)
  for (const session of [...mine, ...theirs]) await subscribe(session, '0', '/member/queue/notification')
  const position = await stack.publisher.publish('member:1:notification', '{"memberId":1}')
  for (const session of mine) {
    const { headers, body } = await nextMessage(session)
    expect([headers.get('message-id'), body]).toEqual([position, '{"memberId":1}'])
  }
  await stack.publisher.publish('member:2:notification', '{"memberId":2}')
  for (const session of theirs) expect((await nextMessage(session)).body).toBe('{"memberId":2}')
  for (const session of [...mine, ...theirs]) await expectNothingElse(session)
})

test('delivers a broadcast to all members', async () => {
  const sessions = [...(await openSessionOnEachGateway(3)), ...(await openSessionOnEachGateway(4))]
  for (const session of sessions) await subscribe(session, '0', '/topic/all')
  await stack.publisher.publish('broadcast:all', '"hello"')
  for (const session of sessions) expect((await nextMessage(session)).body).toBe('"hello"')
})

test('sends each subscription its own MESSAGE, with its id and in the version of its session', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const versions = ['1.0', '1.1', '1.2', '1.2']
  const sessions = await Promise.all(versions.map((version) => openSession(gateway, { memberId: 5, version })))
  for (const session of sessions) {
    await subscribe(session, 'a', '/topic/forms')
    await subscribe(session, 'b', '/topic/forms', { ack: 'client' })
  }
  const position = await stack.publisher.publish('broadcast:forms', '{}')
  for (const [index, session] of sessions.entries()) {
    const frames = [await nextMessage(session), await nextMessage(session)]
    expect(new Set(frames.map(({ headers }) => headers.get('subscription')))).toEqual(new Set(['a', 'b']))
    for (const { headers } of frames) {
      const ack = versions[index] === '1.2' ? `${position}@${headers.get('subscription')}` : undefined
      expect([headers.get('message-id'), headers.get('ack')]).toEqual([position, ack])
    }
  }
})

test('delivers publications that are published at once in their order', async () => {
  const [session] = (await openSessionOnEachGateway(6)) as [RawSession]
  await subscribe(session, '0', '/member/queue/notification')
  await Promise.all(numberStrings(1, 500).map((body) => stack.publisher.publish('member:6:notification', body)))
  expect(await nextBodies(session, 500)).toEqual(numberStrings(1, 500))
})

test('unsubscribes from the Redis channel some seconds after the last subscription to it has ended, and not before', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const redisSubscribers = async () => ((await stack.publisher.redis.pubsub('NUMSUB', 'broadcast:brief')) as [string, number])[1]
  const [first, second] = [await openSession(gateway, { memberId: 7 }), await openSession(gateway, { memberId: 7 })]
  await subscribe(first, '0', '/topic/brief')
  await subscribe(second, '0', '/topic/brief')
  expect(await redisSubscribers()).toBe(1)
  await first.leaves()
  sendFrame(second, 'UNSUBSCRIBE', { id: '0' })
  await subscribe(second, '1', '/topic/brief')
  await stack.publisher.publish('broadcast:brief', '1')
  expect((await nextMessage(second)).body).toBe('1')
  const leftAt = performance.now()
  await second.leaves()
  await waitFor(async () => (await redisSubscribers()) === 0, {
    what: 'the gateway to unsubscribe from the channel',
    deadlineMs: 20_000,
  })
  expect(performance.now() - leftAt).toBeGreaterThan(4_500)
  const third = await openSession(gateway, { memberId: 7 })
  await subscribe(third, '0', '/topic/brief')
  await stack.publisher.publish('broadcast:brief', '2')
  expect((await nextMessage(third)).body).toBe('2')
})

test('counts deliveries in deliveries_total', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const before = await readMetric(gateway, 'deliveries_total')
  const sessions = await Promise.all([1, 2, 3].map(() => openSession(gateway, { memberId: 8 })))
  for (const session of sessions) await subscribe(session, '0', '/member/queue/notification')
  await stack.publisher.publish('member:8:notification', '1')
  for (const session of sessions) await nextMessage(session)
  expect(await readMetric(gateway, 'deliveries_total')).toBe(before + 3)
})
