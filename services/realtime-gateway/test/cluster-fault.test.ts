import { type RawSession, type RedisCluster, type ServiceProcess, startRedisCluster, startService, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ClusterNode, type ClusterNodes, relayCluster } from './fixture/cluster-nodes.ts'
import {
  expectNothingElse,
  fetchOps,
  nextBodies,
  nextMessage,
  numberStrings,
  openSession,
  sendFrame,
  subscribe,
  waitUntilReady,
} from './fixture/gateway.ts'
import { openPublisher, type Publisher } from './fixture/publisher.ts'

let cluster: RedisCluster
let nodes: ClusterNodes
let publisher: Publisher
let gateway: ServiceProcess
let sessions: RawSession[]

const queue = '/member/queue/notification'
/** As many as it takes for each node to hold the channels of some of them. */
const members = numberStrings(1, 24).map(Number)
const channelOf = (memberId: number) => `member:${memberId}:notification`

beforeAll(async () => {
  cluster = await startRedisCluster()
  nodes = await relayCluster(cluster)
  publisher = openPublisher(cluster.url)
  gateway = await startService('realtime-gateway', { REDIS_URL: nodes.url, DRAIN_SECONDS: '1' })
  await waitUntilReady(gateway)
  sessions = await Promise.all(members.map((memberId) => openSession(gateway, { memberId })))
  await Promise.all(sessions.map((session) => subscribe(session, '0', queue)))
}, 60_000)
afterAll(async () => {
  publisher.close()
  await gateway.kill()
  nodes.close()
  await cluster.close()
})

async function publishToAll(body: string): Promise<void> {
  await Promise.all(members.map((memberId) => publisher.publish(channelOf(memberId), body)))
}

/** Expects each session to receive this next. Repeats of what it already has are none. */
async function expectAtAll(body: string, deadlineMs: number): Promise<void> {
  const received = await Promise.all(sessions.map(async (session) => (await nextMessage(session, deadlineMs)).body))
  expect(received).toEqual(sessions.map(() => body))
}

/** Makes the gateway's connections for subscriptions at this node silent. */
async function silenceSubscribers({ redis, relay }: ClusterNode): Promise<void> {
  const list = String(await redis.client('LIST')).split('\n')
  const subscribers = list.filter((line) => line.includes('realtime-gateway:subscriber'))
  relay.silence(subscribers.map((line) => Number(/ addr=[^ ]+:(\d+) /.exec(line)?.[1])))
}

async function failing(): Promise<string[]> {
  const { text } = await fetchOps(gateway, '/ready')
  return (JSON.parse(text) as { failing: string[] }).failing.toSorted()
}

test('notices that subscriber connections of some shards have become silent, names the shards, and repairs what was missed', async () => {
  const [first, second] = nodes.nodes as [ClusterNode, ClusterNode]
  await Promise.all([first, second].map(silenceSubscribers))
  await publishToAll('missed')
  const shards = [first, second].map(({ address }) => `redis:${address}`).toSorted()
  await waitFor(async () => (await failing()).join(' ') === shards.join(' '), {
    what: '/ready to name both shards',
    deadlineMs: 20_000,
  })
  await expectAtAll('missed', 30_000)
  await waitUntilReady(gateway)
  await publishToAll('live')
  await expectAtAll('live', 20_000)
  const { text } = await fetchOps(gateway, '/metrics')
  for (const { address } of nodes.nodes) expect(text).toContain(`tidings_gateway_redis_lag_seconds{shard="redis:${address}"}`)
})

test('follows slots that are moved in place, and delivers what was published during the move without a later publication', async () => {
  for (const [index, session] of sessions.entries()) {
    const channel = channelOf(members[index] as number)
    const from = await nodes.ownerOf(channel)
    const to = nodes.nodes[(nodes.nodes.indexOf(from) + 1) % nodes.nodes.length] as ClusterNode
    await nodes.moveSlot(channel, to, () => publisher.publish(channel, 'during the move'))
    expect(await nextBodies(session, 1)).toEqual(['during the move'])
  }
  await publishToAll('after the move')
  await expectAtAll('after the move', 20_000)
  for (const session of sessions) await expectNothingElse(session)
  await waitUntilReady(gateway)
})

test('refuses only the channel that Redis does not permit, and serves all others before and after a reconnect', async () => {
  const acl = ['on', '>secret', '~*', '+@all', 'resetchannels', '&member:*', '&gateway:*']
  await Promise.all(nodes.nodes.map(({ redis }) => redis.call('ACL', 'SETUSER', 'gateway', ...acl)))
  const url = nodes.url.replaceAll('redis://', 'redis://gateway:secret@')
  const restricted = await startService('realtime-gateway', { REDIS_URL: url, DRAIN_SECONDS: '1', PUBLIC_TOPICS: '*' })
  try {
    await waitUntilReady(restricted)
    const served = await Promise.all(members.map((memberId) => openSession(restricted, { memberId })))
    const refused = await openSession(restricted, { memberId: 1_000 })
    sendFrame(refused, 'SUBSCRIBE', { id: '0', destination: '/topic/news' })
    const error = await refused.nextFrame(20_000)
    expect([error.command, (await refused.closed()).code]).toEqual(['ERROR', 4403])
    expect(error.headers.get('message')).toContain('/topic/news')
    await Promise.all(served.map((session) => subscribe(session, '0', queue)))
    await Promise.all(nodes.nodes.map(({ redis }) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')))
    await publishToAll('served')
    expect(await Promise.all(served.map(async (session) => (await nextMessage(session, 20_000)).body))).toEqual(
      served.map(() => 'served'),
    )
  } finally {
    await restricted.kill()
  }
})
