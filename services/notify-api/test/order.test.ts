import { setTimeout as delay } from 'node:timers/promises'
import { startRedis, waitFor } from '@tidings/local'
import { historyKey, historyLimitOf } from '@tidings/protocol'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { openRelay, type Relay } from './fixture/relay.ts'

const members = [1, 2, 3, 4, 5, 6]
const outageMs = 2_000
const deadlineMs = 30_000
const channelOf = (memberId: number) => `member:${memberId}:notification`

interface World {
  readonly stack: Stack
  readonly admin: Redis
  /** The way of both instances to Redis. */
  readonly relay: Relay
}

interface Fault {
  readonly name: string
  /** True when Redis may lose publications that it has acknowledged. */
  readonly losing?: boolean
  /** Resolves when Redis is back, to the server that has the histories then. */
  readonly inject: (world: World) => Promise<string>
}

const refusingWrites =
  (setting: string): Fault['inject'] =>
  async ({ stack, admin }) => {
    await admin.config('SET', setting, 1)
    await delay(outageMs)
    await admin.config('SET', setting, 0)
    return stack.redis.url
  }

const faults: readonly Fault[] = [
  {
    name: 'Redis hangs',
    async inject({ stack }) {
      stack.redis.pause()
      await delay(outageMs)
      stack.redis.resume()
      return stack.redis.url
    },
  },
  { name: 'Redis is full', inject: refusingWrites('maxmemory') },
  { name: 'Redis refuses writes', inject: refusingWrites('min-replicas-to-write') },
  {
    name: 'Redis is killed and comes back empty',
    losing: true,
    async inject({ stack }) {
      await stack.redis.kill()
      await delay(outageMs)
      await stack.redis.restart()
      return stack.redis.url
    },
  },
  {
    name: 'Redis fails over',
    losing: true,
    async inject({ stack, admin, relay }) {
      const replica = await startRedis()
      onTestFinished(async () => void (await replica.kill()))
      const promoted = new Redis(replica.url)
      onTestFinished(() => promoted.disconnect())
      await admin.config('SET', 'repl-diskless-sync-delay', 0)
      await promoted.replicaof('127.0.0.1', stack.redis.port)
      await waitFor(async () => (await promoted.info('replication')).includes('master_link_status:up'), {
        deadlineMs,
        what: 'the replica',
      })
      await stack.redis.kill()
      await promoted.replicaof('NO', 'ONE')
      relay.target = replica.port
      return replica.url
    },
  },
]

/**
 * Returns a history from its smallest id on, if it is full. What precedes this id is the rest of publications that were repeated after a reply
 * of Redis was late: the history has lost their beginning, but has the repetition.
 */
function untrimmed(history: readonly Record<string, unknown>[]): readonly Record<string, unknown>[] {
  if (history.length < (historyLimitOf(channelOf(1))?.length ?? 0)) return history
  const ids = history.map((body) => body['notificationId'] as number)
  return history.slice(ids.indexOf(Math.min(...ids)))
}

let stack: Stack

beforeEach(async () => {
  stack = await openStack('order')
})
afterEach(async () => {
  stack.redis.resume()
  await stack.close()
})

/** The others in the long form only: they take the same paths. */
const usual = new Set(['Redis hangs', 'Redis fails over'])
const tested = process.env['TIDINGS_LONG'] === '1' ? faults : faults.filter(({ name }) => usual.has(name))

test.each(tested)('$name: posts accepted by two instances one after the other are published in this order', async (fault) => {
  const relay = await openRelay(stack.redis.port)
  onTestFinished(() => relay.close())
  const admin = new Redis(stack.redis.url, { maxRetriesPerRequest: null })
  admin.on('error', () => {})
  onTestFinished(() => admin.disconnect())
  const env = { PUBLISH_TIMEOUT_MS: '500', REDIS_URL: `redis://127.0.0.1:${relay.port}` }
  const apis = await Promise.all([stack.start(env), stack.start(env)])
  const listener = await stack.listen(...members.map(channelOf))
  const accepted = new Map<number, number[]>(members.map((memberId) => [memberId, []]))
  const stop = new AbortController()
  const post = async (memberId: number) => {
    const ids = accepted.get(memberId) as number[]
    while (!stop.signal.aborted) {
      const { status, body } = await (apis[Math.floor(Math.random() * apis.length)] as NotifyApi).send({ ...hello, memberId })
      expect(status).toBe(201)
      ids.push(body['notificationId'] as number)
    }
  }
  const posting = Promise.all(members.map(post))
  const postedMore = async (count: number) => {
    const target = new Map([...accepted].map(([memberId, ids]) => [memberId, ids.length + count]))
    await waitFor(() => [...accepted].every(([memberId, ids]) => ids.length >= (target.get(memberId) ?? 0)), {
      deadlineMs,
      what: `${count} more posts to each member`,
    })
  }
  await postedMore(20)
  const url = await fault.inject({ stack, admin, relay })
  await waitFor(async () => (await stack.count('outbox_deferred')) === 0, { deadlineMs, what: 'the deferred rows' })
  await postedMore(20)
  stop.abort()
  await posting
  await waitFor(async () => (await stack.count('outbox')) === 0, { deadlineMs, what: 'an empty outbox' })
  expect(await stack.count('outbox_deferred')).toBe(0)

  const reader = new Redis(url)
  onTestFinished(() => reader.disconnect())
  for (const [memberId, ids] of accepted) {
    const heard = listener.publications.filter(({ channel }) => channel === channelOf(memberId)).map(({ body }) => body)
    const kept = (await reader.lrange(historyKey(channelOf(memberId)), 0, -1)).map(
      (publication) => JSON.parse(publication.slice(publication.indexOf('\n') + 1)) as Record<string, unknown>,
    )
    // A listener misses what is published before it has reconnected; the history of a new Redis lacks what came before.
    const published = new Set(
      [...(fault.losing ? [] : heard), ...untrimmed(kept)].map((body) => body['notificationId'] as number),
    )
    const expected = fault.losing ? ids.filter((id) => published.has(id)) : ids
    expect([...published]).toEqual(expected)
    expect(expected.length).toBeGreaterThan(20)
  }
})
