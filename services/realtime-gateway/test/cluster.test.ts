import { type RawSession, type RedisCluster, type ServiceProcess, startRedisCluster, startService, waitFor } from '@tidings/local'
import type { MemberId } from '@tidings/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  expectNothingElse,
  nextBodies,
  nextMessage,
  numberStrings,
  openSession,
  subscribe,
  waitUntilReady,
} from './fixture/gateway.ts'
import { openPublisher, type Publisher } from './fixture/publisher.ts'

let cluster: RedisCluster
let publisher: Publisher
let gateway: ServiceProcess

beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: true })
  publisher = openPublisher(cluster.url)
  gateway = await startService('realtime-gateway', { REDIS_URL: cluster.url, PUBLIC_TOPICS: '*' })
  await waitUntilReady(gateway)
})
afterAll(async () => {
  publisher.close()
  await gateway.kill()
  await cluster.close()
})

const queue = '/member/queue/notification'
/** As many as it takes for each node to hold the channels of some of them. */
const members: readonly MemberId[] = numberStrings(1, 60).map((number) =>
  Number(number) % 2 ? Number(number) : `auth0|${number}`,
)
let sessions: RawSession[]

test('delivers to members on all nodes their own publications, over sharded Pub/Sub', async () => {
  sessions = await Promise.all(members.map((memberId) => openSession(gateway, { memberId })))
  await Promise.all(sessions.map((session) => subscribe(session, '0', queue)))
  await Promise.all(members.map((memberId) => publisher.publish(`member:${memberId}:notification`, `for ${memberId}`)))
  for (const [index, session] of sessions.entries()) expect(await nextBodies(session, 1)).toEqual([`for ${members[index]}`])
  for (const session of sessions) await expectNothingElse(session)
})

test('resumes, and repairs a gap from the history', async () => {
  const session = await openSession(gateway, { memberId: 1_000 })
  const first = await publisher.publish('member:1000:notification', '1')
  await publisher.publish('member:1000:notification', '2')
  const receipt = await subscribe(session, '0', queue, { 'last-message-id': first })
  expect(receipt.headers.get('recovered')).toBe('true')
  await publisher.appendToHistory('member:1000:notification', '3')
  await publisher.publish('member:1000:notification', '4')
  expect(await nextBodies(session, 3)).toEqual(['2', '3', '4'])
})

test('subscribes again to a channel that a session has left', async () => {
  const session = await openSession(gateway, { memberId: 1_001 })
  await subscribe(session, '0', '/topic/brief')
  await session.leaves()
  const again = await openSession(gateway, { memberId: 1_001 })
  await subscribe(again, '0', '/topic/brief')
  await publisher.publish('broadcast:brief', '1')
  expect(await nextBodies(again, 1)).toEqual(['1'])
})

test('delivers every accepted publication after a master is killed and its replica takes over', { timeout: 90_000 }, async () => {
  await cluster.masters[0]?.kill()
  const accepted = new Map<MemberId, string[]>(members.map((memberId) => [memberId, []]))
  // Publications of members on the killed node are not accepted until its replica takes over. Every accepted one must arrive.
  for (const round of numberStrings(1, 5)) {
    await Promise.all(
      members.map(async (memberId) => {
        const text = `${memberId}: ${round}`
        const publish = () => publisher.publish(`member:${memberId}:notification`, text).then(() => true)
        await waitFor(publish, { what: `a master for member ${memberId}`, deadlineMs: 30_000 })
        accepted.get(memberId)?.push(text)
      }),
    )
  }
  for (const [index, session] of sessions.entries()) {
    const expected = accepted.get(members[index] as MemberId) ?? []
    const received: string[] = []
    // Repeats are dropped: a publication is tried again when the reply to it was lost with the master.
    while (received.at(-1) !== expected.at(-1)) {
      const { body } = await nextMessage(session, 30_000)
      if (!received.includes(body)) received.push(body)
    }
    expect(received).toEqual(expected)
  }
  const late = await openSession(gateway, { memberId: 2_000 })
  await subscribe(late, '0', queue)
  await publisher.publish('member:2000:notification', 'late')
  expect(await nextBodies(late, 1)).toEqual(['late'])
})
