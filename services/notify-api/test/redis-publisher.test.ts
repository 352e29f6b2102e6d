import { readFileSync } from 'node:fs'
import { openLog, RedisPermissions } from '@tidings/chassis'
import { type RedisServer, startRedis, startRedisCluster, waitFor } from '@tidings/local'
import { historyKey, historyLimits, type Position, parsePosition } from '@tidings/protocol'
import { Cluster, Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { neededCommands } from '../src/needed-command.ts'
import { RedisPublisher } from '../src/outbox/redis-publisher.ts'
import { openRelay } from './fixture/relay.ts'

const channel = 'member:1:notification'
const log = openLog('test', 'fatal')
/** Longer than a busy machine delays Redis. */
const timeoutMs = 10_000

let server: RedisServer
let redis: Redis
let publisher: RedisPublisher

beforeAll(async () => {
  server = await startRedis()
  redis = new Redis(server.url, { maxRetriesPerRequest: null })
  redis.on('error', () => {})
})
beforeEach(async () => {
  await redis.flushall()
  publisher = await connected(server.url)
})
afterEach(() => {
  publisher.close()
  // Redis resumes also when a test has failed while it was paused.
  server.resume()
})
afterAll(async () => {
  redis.disconnect()
  await server.kill()
})

async function connected(url: string, options = { timeoutMs }): Promise<RedisPublisher> {
  const one = new RedisPublisher({ url, prefix: '' }, { ...options, log, onPublish: () => {} })
  await waitFor(() => one.ping().then(() => true), { what: 'the connection' })
  return one
}

const history = () => redis.lrange(historyKey(channel), 0, -1)

/** Returns the position of each publication in the history of a channel. */
async function positionsOf(connection: Redis, name = channel): Promise<(Position | undefined)[]> {
  const publications = await connection.lrange(historyKey(name), 0, -1)
  return publications.map((publication) => parsePosition(publication.slice(0, publication.indexOf('\n'))))
}

test('positions count from 1, in an epoch with the start time of the history', async () => {
  const before = Date.now()
  await Promise.all(['{"a":1}', '{"a":2}', '{"a":3}'].map((body) => publisher.publish(channel, body)))
  const positions = await positionsOf(redis)
  expect(positions.map((position) => position?.offset)).toEqual([1, 2, 3])
  const [epoch] = new Set(positions.map((position) => position?.epoch))
  const startedAt = Math.floor((epoch ?? Number.NaN) / 100)
  expect(startedAt).toBeGreaterThanOrEqual(before)
  expect(startedAt).toBeLessThanOrEqual(Date.now())
  expect(await history()).toEqual([1, 2, 3].map((n) => `${epoch}-${n}\n{"a":${n}}`))
  await publisher.publish('member:2:notification', '{}')
  expect(await positionsOf(redis, 'member:2:notification')).toMatchObject([{ offset: 1 }])
})

test('the published payload equals the entry in the history', async () => {
  const listener = redis.duplicate()
  const heard: string[] = []
  listener.on('message', (_channel, payload: string) => heard.push(payload))
  await listener.subscribe(channel)
  await publisher.publish(channel, '{"text":"가\\n"}')
  await waitFor(() => heard.length === 1, { what: 'the message' })
  expect(heard).toEqual(await history())
  listener.disconnect()
})

test('publish resolves to the number of subscribers, also for more channels than fit into one script', async () => {
  const listener = redis.duplicate()
  onTestFinished(() => listener.disconnect())
  const channels = Array.from({ length: 250 }, (_, index) => `member:${index + 1}:notification`)
  const listened = channels.filter((_, index) => index % 3 === 0)
  await listener.subscribe(...listened)
  const receivers = await Promise.all(channels.map((name) => publisher.publish(name, '{}')))
  expect(receivers).toEqual(channels.map((name) => (listened.includes(name) ? 1 : 0)))
})

test('a history is limited in length and age, and its positions continue', async () => {
  const { length, seconds } = historyLimits.notification
  const count = length + 250
  await Promise.all(Array.from({ length: count }, (_, index) => publisher.publish(channel, `${index}`)))
  const kept = await history()
  expect(kept.map((publication) => publication.split('\n')[1])).toEqual(
    Array.from({ length }, (_, index) => `${count - length + index}`),
  )
  const [epoch] = kept[0]?.split('-') ?? []
  expect(kept.at(-1)).toBe(`${epoch}-${count}\n${count - 1}`)
  expect(await redis.ttl(historyKey(channel))).toBeGreaterThan(seconds - 10)
})

test('a deleted history starts again in a later epoch', async () => {
  await publisher.publish(channel, 'a')
  const [first] = await positionsOf(redis)
  await redis.del(historyKey(channel))
  await waitFor(() => Date.now() * 100 > (first?.epoch ?? Number.NaN), { what: 'the next millisecond' })
  await publisher.publish(channel, 'b')
  const [next] = await positionsOf(redis)
  expect(next?.offset).toBe(1)
  expect(next?.epoch).toBeGreaterThan(first?.epoch ?? Number.NaN)
})

test.each([
  ['a string', () => redis.set(historyKey(channel), 'x')],
  ['a list of other values', () => redis.rpush(historyKey(channel), 'x')],
])('%s under the key of the history is replaced', async (_case, spoil) => {
  await spoil()
  await publisher.publish(channel, 'a')
  expect(await positionsOf(redis)).toMatchObject([{ offset: 1 }])
})

test('the script is sent again after SCRIPT FLUSH', async () => {
  await publisher.publish(channel, 'a')
  await redis.script('FLUSH')
  await publisher.publish(channel, 'b')
  expect(await positionsOf(redis)).toMatchObject([{ offset: 1 }, { offset: 2 }])
})

/** A connection of a user with these rules, beside the default one. */
async function connectedAs(user: string, ...rules: string[]): Promise<RedisPublisher> {
  await redis.call('ACL', 'SETUSER', user, 'reset', 'on', '>secret', '+@all', ...rules)
  const one = await connected(server.url.replace('redis://', `redis://${user}:secret@`))
  onTestFinished(() => one.close())
  return one
}

const threeChannels = ['member:1:notification', 'member:2:notification', 'member:3:notification']
// The words differ between versions of Redis.
const refusal = { away: false, reason: expect.stringMatching(/NOPERM|user executing the script can't/) as string }
const lengths = () => Promise.all(threeChannels.map((name) => redis.llen(historyKey(name))))

test('a publication to a channel that the user may not publish to leaves its history as it was; others in the script are published', async () => {
  const limited = await connectedAs('no-channel', '~*', '&member:1:*', '&member:3:*')
  await publisher.publish('member:2:notification', 'before')
  for (let attempt = 0; attempt < 3; attempt++) {
    const results = await Promise.all(threeChannels.map((name) => limited.publish(name, 'a')))
    expect(results).toEqual([0, refusal, 0])
  }
  expect(await lengths()).toEqual([3, 1, 3])
})

test('a history that the user may not write is refused alone', async () => {
  const limited = await connectedAs('no-key', '~tidings:*', '~{member:1:*', '~{member:3:*', '&*')
  const results = await Promise.all(threeChannels.map((name) => limited.publish(name, 'a')))
  expect(results).toEqual([0, refusal, 0])
  expect(await lengths()).toEqual([1, 0, 1])
})

test('a full history keeps its oldest publication when a publication is refused', async () => {
  const limited = await connectedAs('no-channel', '~*', '&member:9:*')
  const { length } = historyLimits.notification
  await Promise.all(Array.from({ length }, (_, index) => publisher.publish(channel, String(index))))
  expect(await limited.publish(channel, 'refused')).toEqual(refusal)
  const kept = await history()
  expect([kept.length, kept[0]?.endsWith('\n0')]).toEqual([length, true])
})

test.each([
  ['EXPIRE', '-expire'],
  ['RPUSH', '-rpush'],
  ['SPUBLISH and PUBLISH', '-@pubsub'],
])('a user without %s is refused and leaves no publication behind', async (_command, rule) => {
  const limited = await connectedAs('no-command', '~*', '&*', rule)
  expect(await limited.publish(channel, 'a')).toEqual(refusal)
  expect(await history()).toEqual([])
})

test.each([
  ['while the memory of Redis is full', 'maxmemory', 1, 'OOM'],
  ['while Redis lacks the replicas it needs to write', 'min-replicas-to-write', 1, 'NOREPLICAS'],
])('%s, publish resolves to Redis being away, and appends nothing', async (_case, setting, value, code) => {
  await publisher.publish(channel, 'a')
  await redis.config('SET', setting, value)
  onTestFinished(async () => {
    await redis.config('SET', setting, 0)
  })
  expect(await publisher.publish(channel, 'b')).toEqual({ away: true, reason: expect.stringContaining(code) as string })
  expect(await publisher.accepts(channel)).toBe(false)
  await redis.config('SET', setting, 0)
  expect(await publisher.accepts(channel)).toBe(true)
  expect(await history()).toHaveLength(1)
})

test('publish fails after the timeout when Redis hangs, and immediately when Redis is gone', async () => {
  const impatient = await connected(server.url, { timeoutMs: 3_000 })
  onTestFinished(() => impatient.close())
  server.pause()
  const begin = performance.now()
  expect(await impatient.publish(channel, 'a')).toEqual({ away: true, reason: 'Command timed out' })
  // Before the socket timeout closes the connection.
  expect(performance.now() - begin).toBeLessThan(15_000)
  server.resume()
  await server.kill()
  await waitFor(
    () =>
      impatient.ping().then(
        () => false,
        () => true,
      ),
    { what: 'the connection to break' },
  )
  const refused = performance.now()
  expect(await impatient.publish(channel, 'a')).toMatchObject({ away: true })
  expect(performance.now() - refused).toBeLessThan(3_000)
  await server.restart()
  await waitFor(async () => (await impatient.publish(channel, 'b')) === 0, {
    deadlineMs: 20_000,
    what: 'the connection to come back',
  })
})

test('on a cluster, channel and history share a node and publications are sharded', async () => {
  const nodes = await startRedisCluster()
  onTestFinished(() => nodes.close())
  const cluster = await connected(nodes.url)
  const channels = Array.from({ length: 20 }, (_, index) => `member:${index + 1}:notification`)
  await Promise.all([...channels, ...channels].map((name) => cluster.publish(name, '{}')))
  const held = await Promise.all(
    nodes.url.split(',').map(async (url) => {
      const node = new Redis(url)
      const keys = await node.keys('*:history')
      const offsets = await Promise.all(
        keys.map(async (key) => (await positionsOf(node, key.slice(1, key.indexOf('}')))).map((position) => position?.offset)),
      )
      node.disconnect()
      return offsets
    }),
  )
  expect(held.flat()).toEqual(channels.map(() => [1, 2]))
  expect(Math.min(...held.map((offsets) => offsets.length))).toBeGreaterThan(0)
  const listener = new Cluster(nodes.url.split(','), { shardedSubscribers: true })
  onTestFinished(() => listener.disconnect())
  for (const name of channels.slice(0, 10)) await listener.ssubscribe(name)
  const receivers = await Promise.all(channels.map((name) => cluster.publish(name, '{}')))
  expect(receivers).toEqual(channels.map((_, index) => (index < 10 ? 1 : 0)))
  cluster.close()
})

test('a promoted replica that lacks publications starts a new epoch, so that no position is used twice', async () => {
  const replica = await startRedis()
  const admin = new Redis(replica.url)
  await redis.config('SET', 'repl-diskless-sync-delay', 0)
  await admin.replicaof('127.0.0.1', Number(new URL(server.url).port))
  await publisher.publish(channel, '1')
  await publisher.publish('member:2:notification', '1')
  await publisher.publish(channel, '2')
  await waitFor(async () => (await admin.llen(historyKey(channel))) === 2, {
    what: 'the replica',
    deadlineMs: 20_000,
  })
  expect(await admin.replicaof('NO', 'ONE')).toBe('OK')
  await publisher.publish(channel, '3')
  const [, before, lost] = await positionsOf(redis)
  expect(lost).toEqual({ ...before, offset: 3 })
  const promoted = await connected(replica.url)
  for (const name of [channel, channel, 'member:2:notification']) await promoted.publish(name, 'new')
  const positions = await positionsOf(admin)
  expect(positions.map((position) => position?.offset)).toEqual([1, 2])
  expect(await positionsOf(admin, 'member:2:notification')).toMatchObject([{ offset: 1 }])
  expect(positions[0]?.epoch).toBeGreaterThan(lost?.epoch ?? Number.NaN)
  promoted.close()
  admin.disconnect()
  await replica.kill()
})

test('a promoted replica whose clock is behind uses no position twice', async () => {
  await publisher.publish(channel, 'a')
  const [first] = await positionsOf(redis)
  // What such a replica has: the history and the record of a master whose clock is a minute ahead of its own.
  const [since, tag] = [Date.now() + 60_000, 99]
  const ahead = (since + 5) * 100 + tag
  await redis.set('tidings:run', `${'f'.repeat(40)} ${since} ${tag}`)
  await redis.del(historyKey(channel))
  await redis.rpush(historyKey(channel), `${ahead}-1\nb`, `${ahead}-2\nc`)
  await publisher.publish(channel, 'd')
  await publisher.publish(channel, 'e')
  const positions = await positionsOf(redis)
  expect(positions.map((position) => position?.offset)).toEqual([1, 2])
  const [epoch] = new Set(positions.map((position) => position?.epoch))
  expect([ahead, first?.epoch]).not.toContain(epoch)
  // The tag after the last one of two digits is 0: however the clocks differ, an epoch of the predecessor cannot come again.
  expect((epoch ?? Number.NaN) % 100).toBe(0)
})

test('a master that became a replica is replaced by the current server at its address', async () => {
  const successor = await startRedis()
  onTestFinished(async () => {
    await redis.replicaof('NO', 'ONE')
    await successor.kill()
  })
  const relay = await openRelay(Number(new URL(server.url).port))
  onTestFinished(() => relay.close())
  const follows = await connected(`redis://127.0.0.1:${relay.port}`)
  onTestFinished(() => follows.close())
  await follows.publish(channel, 'a')
  relay.target = Number(new URL(successor.url).port)
  await redis.replicaof('127.0.0.1', relay.target)
  expect(await follows.publish(channel, 'b')).toMatchObject({ away: true, reason: expect.stringContaining('READONLY') as string })
  await waitFor(async () => (await follows.publish(channel, 'c')) === 0, { deadlineMs: 20_000, what: 'the successor' })
  const reader = new Redis(successor.url)
  onTestFinished(() => reader.disconnect())
  expect(await positionsOf(reader)).toMatchObject([{ offset: 1 }])
})

test('each command that the user of infra/privilege lacks is named, and the check executes none', async () => {
  const acl = readFileSync(new URL('../../../infra/privilege/redis.acl', import.meta.url), 'utf8')
  const [, name = '', ...rules] =
    acl
      .split('\n')
      .find((line) => line.startsWith('user tidings-notify-api '))
      ?.split(' ') ?? []
  const url = server.url.replace('redis://', `redis://${name}:replace-me-notify-api@`)
  const missedBy = async (...change: string[]) => {
    await redis.call('ACL', 'SETUSER', name, 'reset', ...rules, ...change)
    const target = { url, prefix: '' }
    const permissions = new RedisPermissions(target, { connectionName: 'test', commands: neededCommands(target), log })
    const refused = await new Promise<readonly string[]>((resolve) => {
      void permissions.untilPermitted(() => resolve(permissions.refused)).then(() => resolve([]))
    })
    await permissions.close()
    return refused.map((command) => command.split(' ')[0])
  }
  expect(await missedBy()).toEqual([])
  // Without a name the connection works too.
  const commands = rules.filter((rule) => rule.startsWith('+') && rule !== '+client|setname')
  for (const command of commands) {
    expect(new Set(await missedBy(command.replace('+', '-'))), command).toEqual(new Set([command.slice(1).split('|')[0]]))
  }
  for (const pattern of rules.filter((rule) => /^(?:~|&gateway)/.test(rule) && !rule.includes('broadcast'))) {
    const others = rules.filter((rule) => /^[~&]/.test(rule) && rule !== pattern)
    expect(await missedBy('resetkeys', 'resetchannels', ...others), pattern).not.toEqual([])
  }
  expect(await redis.keys('*')).toEqual([])
})
