import { type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Bed,
  bodies,
  connected,
  message,
  metric,
  nothingElse,
  numbers,
  openBed,
  sendFrame,
  subscribed,
} from './fixture/gateway.ts'

let bed: Bed
let gateways: ServiceProcess[]

beforeAll(async () => {
  bed = await openBed()
  gateways = await Promise.all([bed.gateway(), bed.gateway()])
})
afterAll(() => bed.close())

async function onBoth(memberId: number): Promise<RawSession[]> {
  return Promise.all(gateways.map((gateway) => connected(gateway, { memberId })))
}

test('a member connected to both gateways gets it on both; another member nothing', async () => {
  const mine = await onBoth(1)
  const theirs = await onBoth(2)
  for (const session of [...mine, ...theirs]) await subscribed(session, '0', '/member/queue/notification')
  const position = await bed.publisher.publish('member:1:notification', '{"memberId":1}')
  for (const session of mine) {
    const { headers, body } = await message(session)
    expect([headers.get('message-id'), body]).toEqual([position, '{"memberId":1}'])
  }
  await bed.publisher.publish('member:2:notification', '{"memberId":2}')
  for (const session of theirs) expect((await message(session)).body).toBe('{"memberId":2}')
  for (const session of [...mine, ...theirs]) await nothingElse(session)
})

test('a broadcast reaches everybody', async () => {
  const sessions = [...(await onBoth(3)), ...(await onBoth(4))]
  for (const session of sessions) await subscribed(session, '0', '/topic/all')
  await bed.publisher.publish('broadcast:all', '"hello"')
  for (const session of sessions) expect((await message(session)).body).toBe('"hello"')
})

test('subscriptions of one session, of several versions and ids, each get their own frame', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const versions = ['1.0', '1.1', '1.2', '1.2']
  const sessions = await Promise.all(versions.map((version) => connected(gateway, { memberId: 5, version })))
  for (const session of sessions) {
    await subscribed(session, 'a', '/topic/forms')
    await subscribed(session, 'b', '/topic/forms', { ack: 'client' })
  }
  const position = await bed.publisher.publish('broadcast:forms', '{}')
  for (const [index, session] of sessions.entries()) {
    const frames = [await message(session), await message(session)]
    expect(new Set(frames.map(({ headers }) => headers.get('subscription')))).toEqual(new Set(['a', 'b']))
    for (const { headers } of frames) {
      const ack = versions[index] === '1.2' ? `${position}@${headers.get('subscription')}` : undefined
      expect([headers.get('message-id'), headers.get('ack')]).toEqual([position, ack])
    }
  }
})

test('publications keep their order, however fast they come', async () => {
  const [session] = (await onBoth(6)) as [RawSession]
  await subscribed(session, '0', '/member/queue/notification')
  await Promise.all(numbers(1, 500).map((body) => bed.publisher.publish('member:6:notification', body)))
  expect(await bodies(session, 500)).toEqual(numbers(1, 500))
})

test('the gateway leaves a channel some seconds after its last subscriber, and not before', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const listeners = async () => ((await bed.publisher.redis.pubsub('NUMSUB', 'broadcast:brief')) as [string, number])[1]
  const [first, second] = [await connected(gateway, { memberId: 7 }), await connected(gateway, { memberId: 7 })]
  await subscribed(first, '0', '/topic/brief')
  await subscribed(second, '0', '/topic/brief')
  expect(await listeners()).toBe(1)
  await first.leaves()
  sendFrame(second, 'UNSUBSCRIBE', { id: '0' })
  await subscribed(second, '1', '/topic/brief')
  await bed.publisher.publish('broadcast:brief', '1')
  expect((await message(second)).body).toBe('1')
  const leavesAt = performance.now()
  await second.leaves()
  await waitFor(async () => (await listeners()) === 0, { what: 'the channel to be left', deadlineMs: 20_000 })
  expect(performance.now() - leavesAt).toBeGreaterThan(4_500)
  const third = await connected(gateway, { memberId: 7 })
  await subscribed(third, '0', '/topic/brief')
  await bed.publisher.publish('broadcast:brief', '2')
  expect((await message(third)).body).toBe('2')
})

test('what was delivered is counted', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const before = await metric(gateway, 'deliveries_total')
  const sessions = await Promise.all([1, 2, 3].map(() => connected(gateway, { memberId: 8 })))
  for (const session of sessions) await subscribed(session, '0', '/member/queue/notification')
  await bed.publisher.publish('member:8:notification', '1')
  for (const session of sessions) await message(session)
  expect(await metric(gateway, 'deliveries_total')).toBe(before + 3)
})
