import { type RedisCluster, startRedisCluster, waitFor } from '@tidings/local'
import { historyKey } from '@tidings/protocol'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask } from './fixture/task.ts'

let stack: Stack
let cluster: RedisCluster
let nodes: Redis[]
let api: NotifyApi
/** Members whose channels the node at the same index serves. */
const members: number[][] = [[], [], []]
const sent = new Map<number, unknown[]>()

const channelOf = (memberId: number) => `member:${memberId}:notification`

beforeAll(async () => {
  stack = await openStack('cluster')
  cluster = await startRedisCluster()
  nodes = cluster.url.split(',').map((url) => new Redis(url, { maxRetriesPerRequest: null }))
  for (const node of nodes) {
    node.on('error', () => {})
    await node.config('SET', 'cluster-require-full-coverage', 'no')
  }
  for (let memberId = 1; memberId <= 24; memberId++) {
    const slot = Number(await nodes[0]?.cluster('KEYSLOT', channelOf(memberId)))
    members[Math.floor(slot / 5_461.34)]?.push(memberId)
  }
  expect(Math.min(...members.map(({ length }) => length))).toBeGreaterThan(1)
  api = await stack.start({ REDIS_URL: cluster.url, PUBLISH_TIMEOUT_MS: '1000' })
  await postToAll([0, 1, 2], [false])
}, 60_000)
afterAll(async () => {
  for (const node of nodes) node.disconnect()
  await stack.close()
  await cluster.close()
})

/** Posts to each member of these nodes, one after the other. Each response has one of these values of `online`. */
async function postToAll(indexes: readonly number[], online: readonly (boolean | null)[]): Promise<void> {
  for (const memberId of indexes.flatMap((index) => members[index] as number[])) {
    const { status, body } = await api.send({ ...hello, memberId })
    expect(status).toBe(201)
    expect(online).toContain(body['online'])
    sent.set(memberId, [...(sent.get(memberId) ?? []), body['notificationId']])
  }
}

/** Expects the histories of the members of these nodes to have everything, in the order of acceptance. */
async function expectAllPublished(indexes: readonly number[]): Promise<void> {
  for (const index of indexes) {
    for (const memberId of members[index] as number[]) {
      const kept = (await nodes[index]?.lrange(historyKey(channelOf(memberId)), 0, -1)) ?? []
      const ids = kept.map((one) => (JSON.parse(one.slice(one.indexOf('\n') + 1)) as { notificationId: number }).notificationId)
      expect([...new Set(ids)]).toEqual(sent.get(memberId))
    }
  }
}

const deferred = async () =>
  (await stack.rows<{ channel: string }>('SELECT DISTINCT channel FROM outbox_deferred')).map(({ channel }) => channel)

test('events of a task do not read INFO each, and continue on the node to which the slot of the task is moved', async () => {
  const taskId = await createTask(api, 1)
  const key = historyKey(`member:1:task.${taskId}`)
  const append = (text: string, offset: number) => api.post(`/task/${taskId}/event?offset=${offset}`, { type: 'append', text })
  const infoCalls = async () => {
    const stats = await Promise.all(nodes.map((node) => node.info('commandstats')))
    return stats.reduce((sum, text) => sum + Number(/cmdstat_info:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
  }
  const before = await infoCalls()
  for (let offset = 0; offset < 30; offset++) expect((await append('x', offset)).status).toBe(202)
  // Those of the function itself, one a node.
  expect((await infoCalls()) - before).toBeLessThan(10)
  const { body: last } = await append('x', 30)

  const slot = Number(await nodes[0]?.cluster('KEYSLOT', key))
  const owners = await Promise.all(nodes.map((node) => node.exists(key).catch(() => 0)))
  const from = owners.indexOf(1)
  const [source, target] = [nodes[from], nodes[(from + 1) % nodes.length]] as [Redis, Redis]
  const [sourceId, targetId] = [await source.cluster('MYID'), await target.cluster('MYID')]
  await target.cluster('SETSLOT', slot, 'IMPORTING', sourceId)
  await source.cluster('SETSLOT', slot, 'MIGRATING', targetId)
  const keys = await source.cluster('GETKEYSINSLOT', slot, 100)
  await source.call('MIGRATE', '127.0.0.1', target.options.port ?? 0, '', 0, 5_000, 'KEYS', ...keys)
  for (const node of [target, source]) await node.cluster('SETSLOT', slot, 'NODE', targetId)
  // Another process gives the positions: the task is sent again (decision 0006).
  expect(await append('y', 31)).toMatchObject({ status: 409, body: { textBytes: 0 } })
  const again = await append('x'.repeat(31), 0)
  expect(again.status).toBe(202)
  const [position, positionBefore] = [again, { body: last }].map(({ body }) => String(body['position']))
  expect(position?.split('-')[0]).not.toBe(positionBefore?.split('-')[0])
  expect((await target.lindex(key, -1))?.split('\n')[0]).toBe(position)
})

test('while a master hangs, posts to members on the others are published at once; then those to its own follow, in order', async () => {
  cluster.masters[0]?.pause()
  await postToAll([0], [null])
  for (let round = 0; round < 5; round++) {
    await postToAll([1, 2], [false])
    await postToAll([0], [null])
  }
  await expectAllPublished([1, 2])
  expect((await deferred()).toSorted()).toEqual((members[0] as number[]).map(channelOf).toSorted())
  cluster.masters[0]?.resume()
  await waitFor(async () => (await deferred()).length === 0, { deadlineMs: 20_000, what: 'the deferred rows' })
  await postToAll([0], [false])
  await expectAllPublished([0, 1, 2])
})

test('while a master is dead, posts to members on the others are published at once', async () => {
  for (const node of nodes) await node.config('SET', 'cluster-node-timeout', 2_000)
  await cluster.masters[0]?.kill()
  await postToAll([0], [null])
  // For longer than the cluster needs to notice.
  await waitFor(
    async () => {
      await postToAll([1, 2], [false])
      return String(await nodes[1]?.cluster('NODES')).includes('fail ')
    },
    { deadlineMs: 40_000, what: 'the cluster to notice' },
  )
  for (let round = 0; round < 5; round++) await postToAll([1, 2], [false])
  await expectAllPublished([1, 2])
  expect((await deferred()).toSorted()).toEqual((members[0] as number[]).map(channelOf).toSorted())
})
