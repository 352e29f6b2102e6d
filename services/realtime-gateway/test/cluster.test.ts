import { type RawSession, type RedisCluster, type ServiceProcess, startRedisCluster, startService, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bodies, connected, message, nothingElse, numbers, ready, subscribed } from './fixture/gateway.ts'
import { openPublisher, type Publisher } from './fixture/publisher.ts'

let cluster: RedisCluster
let publisher: Publisher
let gateway: ServiceProcess

beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: true })
  publisher = openPublisher(cluster.url)
  gateway = await startService('realtime-gateway', { REDIS_URL: cluster.url })
  await ready(gateway)
})
afterAll(async () => {
  publisher.close()
  await gateway.kill()
  await cluster.close()
})

const queue = '/member/queue/notification'
/** Enough members for every node to have some. */
const members = numbers(1, 60).map(Number)
let sessions: RawSession[]

test('members of all nodes get their own, sharded', async () => {
  sessions = await Promise.all(members.map((memberId) => connected(gateway, { memberId })))
  await Promise.all(sessions.map((session) => subscribed(session, '0', queue)))
  await Promise.all(members.map((memberId) => publisher.publish(`member:${memberId}:notification`, `for ${memberId}`)))
  for (const [index, session] of sessions.entries()) expect(await bodies(session, 1)).toEqual([`for ${members[index]}`])
  for (const session of sessions) await nothingElse(session)
})

test('resume and gap repair', async () => {
  const session = await connected(gateway, { memberId: 1_000 })
  const first = await publisher.publish('member:1000:notification', '1')
  await publisher.publish('member:1000:notification', '2')
  const receipt = await subscribed(session, '0', queue, { 'last-message-id': first })
  expect(receipt.headers.get('recovered')).toBe('true')
  await publisher.append('member:1000:notification', '3')
  await publisher.publish('member:1000:notification', '4')
  expect(await bodies(session, 3)).toEqual(['2', '3', '4'])
})

test('a channel is left and joined again', async () => {
  const session = await connected(gateway, { memberId: 1_001 })
  await subscribed(session, '0', '/topic/brief')
  await session.leaves()
  const again = await connected(gateway, { memberId: 1_001 })
  await subscribed(again, '0', '/topic/brief')
  await publisher.publish('broadcast:brief', '1')
  expect(await bodies(again, 1)).toEqual(['1'])
})

test('a master dies: its replica takes over, and every member gets what is published then', { timeout: 90_000 }, async () => {
  await cluster.masters[0]?.kill()
  const accepted = new Map<number, string[]>(members.map((memberId) => [memberId, []]))
  // What was accepted must arrive; while a node is missing, its members' publications are not accepted.
  for (const round of numbers(1, 5)) {
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
    const wanted = accepted.get(members[index] as number) ?? []
    const received: string[] = []
    // An asynchronous replica may have lost the last before the death, and a publication may be tried twice: both are allowed for.
    while (received.at(-1) !== wanted.at(-1)) {
      const { body } = await message(session, 30_000)
      if (!received.includes(body)) received.push(body)
    }
    expect(received).toEqual(wanted)
  }
  const late = await connected(gateway, { memberId: 2_000 })
  await subscribed(late, '0', queue)
  await publisher.publish('member:2000:notification', 'late')
  expect(await bodies(late, 1)).toEqual(['late'])
})
