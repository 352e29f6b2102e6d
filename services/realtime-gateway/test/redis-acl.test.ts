import { readFileSync } from 'node:fs'
import { openLog, RedisPermissions } from '@tidings/chassis'
import {
  memberToken,
  openRawSession,
  type RawSession,
  type ServerFrame,
  type ServiceProcess,
  startService,
  waitFor,
} from '@tidings/local'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { neededCommands } from '../src/redis/needed-command.ts'
import {
  fetchOps,
  type GatewayStack,
  nextBodies,
  openSession,
  readMetric,
  sendFrame,
  startGatewayStack,
  subscribe,
  waitUntilReady,
} from './fixture/gateway.ts'

let stack: GatewayStack
let gateway: ServiceProcess

const queue = '/member/queue/notification'
const allowed = ['&member:*', '&broadcast:all', '&gateway:*']
const keysWithoutTopics = ['resetkeys', '~tidings:run', '~{member:*}:history', '~{gateway:*}:history']
/** The keys that PROTOCOL.md §3 names. */
const documentedKeys = ['resetkeys', '~tidings:run', '~{*}:history', '~{gateway:control}:*']

/** Replaces the channels that Redis permits to the gateway, with all keys. Redis closes the connections that are subscribed to others. */
async function permit(...rules: string[]): Promise<void> {
  await stack.publisher.redis.call('ACL', 'SETUSER', 'gateway', 'on', '>secret', '~*', '+@all', 'resetchannels', ...rules)
}

function restrictedUrl(): string {
  return stack.redis.url.replace('redis://', 'redis://gateway:secret@')
}

/** Resolves to the ERROR that a SUBSCRIBE gets, and the code with which the session is closed. */
async function subscribeRefused(session: RawSession, destination: string): Promise<{ error: ServerFrame; code: number }> {
  sendFrame(session, 'SUBSCRIBE', { id: 'refused', destination, receipt: 'refused' })
  const error = await session.nextFrame(20_000)
  return { error, code: (await session.closed()).code }
}

/** Returns how often the gateway has logged that Redis refuses this channel. */
function loggedRefusals(channel: string): number {
  return gateway.logs.filter((line) => line.includes(`"channel":"${channel}"`) && line.includes('redis refuses')).length
}

async function publishAndExpect(session: RawSession, memberId: number, body: string): Promise<void> {
  await stack.publisher.publish(`member:${memberId}:notification`, body)
  expect(await nextBodies(session, 1)).toEqual([body])
}

async function killSubscribers(): Promise<void> {
  await stack.publisher.redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
}

beforeAll(async () => {
  stack = await startGatewayStack()
  await permit(...allowed)
  gateway = await stack.startGateway({ REDIS_URL: restrictedUrl() })
})
beforeEach(() => permit(...allowed))
afterEach(() => stack.redis.resume())
afterAll(() => stack.close())

test('refuses only the subscription to a channel that Redis does not permit, and serves all others before and after a reconnect', async () => {
  const first = await openSession(gateway, { memberId: 1 })
  await subscribe(first, '0', queue)
  const second = await openSession(gateway, { memberId: 2 })
  const { error, code } = await subscribeRefused(second, '/topic/news')
  expect([error.command, error.headers.get('receipt-id'), code]).toEqual(['ERROR', 'refused', 4403])
  expect(error.headers.get('message')).toContain('/topic/news')
  const third = await openSession(gateway, { memberId: 3 })
  await subscribe(third, '0', queue)
  await killSubscribers()
  await publishAndExpect(first, 1, 'to 1')
  await publishAndExpect(third, 3, 'to 3')
  expect(loggedRefusals('broadcast:news')).toBe(1)
  for (const session of [first, third]) await session.leaves()
})

test.each([
  ['channel', allowed],
  ['history', [...allowed, '&broadcast:weather', ...keysWithoutTopics]],
])('refuses one channel whose %s is not permitted among many that are subscribed to at once', async (_what, rules) => {
  await permit(...rules)
  const members = Array.from({ length: 40 }, (_, index) => 100 + index)
  const sessions = await Promise.all(members.map((memberId) => openSession(gateway, { memberId })))
  const refused = await openSession(gateway, { memberId: 99 })
  stack.redis.pause() // so that all wait for one batch
  const receipts = sessions.map((session) => subscribe(session, '0', queue))
  const refusal = subscribeRefused(refused, '/topic/weather')
  stack.redis.resume()
  expect((await refusal).code).toBe(4403)
  await Promise.all(receipts)
  await Promise.all(sessions.map((session, index) => publishAndExpect(session, members[index] as number, 'one of many')))
  for (const session of sessions) await session.leaves()
})

test('ends only the sessions whose channel is no longer permitted, and serves the channel again once it is', async () => {
  await permit(...allowed, '&broadcast:brief')
  const member = await openSession(gateway, { memberId: 11 })
  await subscribe(member, '0', queue)
  const brief = await openSession(gateway, { memberId: 12 })
  await subscribe(brief, '0', queue)
  await subscribe(brief, '1', '/topic/brief')
  await permit(...allowed)
  const error = await brief.nextFrame(20_000)
  expect([error.command, (await brief.closed()).code]).toEqual(['ERROR', 4403])
  expect(error.headers.get('message')).toContain('/topic/brief')
  await publishAndExpect(member, 11, 'still served')
  const again = await openSession(gateway, { memberId: 12 })
  expect((await subscribeRefused(again, '/topic/brief')).code).toBe(4403)
  await permit(...allowed, '&broadcast:brief')
  const mended = await openSession(gateway, { memberId: 12 })
  await subscribe(mended, '1', '/topic/brief')
  await stack.publisher.publish('broadcast:brief', 'mended')
  expect(await nextBodies(mended, 1)).toEqual(['mended'])
  for (const session of [member, mended]) await session.leaves()
})

test('ends only the sessions of a channel whose history is no longer permitted, and serves the channel again once it is', async () => {
  await permit(...allowed, '&broadcast:sport')
  const member = await openSession(gateway, { memberId: 31 })
  await subscribe(member, '0', queue)
  const sport = await openSession(gateway, { memberId: 32 })
  await subscribe(sport, '0', '/topic/sport')
  await permit(...allowed, '&broadcast:sport', ...keysWithoutTopics)
  const resuming = await openSession(gateway, { memberId: 33 })
  sendFrame(resuming, 'SUBSCRIBE', { id: '0', destination: '/topic/sport', 'last-message-id': '1-1' })
  for (const session of [sport, resuming]) {
    const error = await session.nextFrame(20_000)
    expect([error.command, (await session.closed()).code]).toEqual(['ERROR', 4403])
    expect(error.headers.get('message')).toContain('/topic/sport')
  }
  await publishAndExpect(member, 31, 'still served')
  await permit(...allowed, '&broadcast:sport')
  const mended = await openSession(gateway, { memberId: 32 })
  await subscribe(mended, '0', '/topic/sport')
  await stack.publisher.publish('broadcast:sport', 'mended')
  expect(await nextBodies(mended, 1)).toEqual(['mended'])
  for (const session of [member, mended]) await session.leaves()
})

test.each([
  ['the control channel', ['&gateway:canary:*']],
  ['the canary', ['&gateway:control']],
  ['the histories of its own channels', ['&gateway:*', 'resetkeys', '~tidings:run', '~{member:*}:history']],
])('without %s it is not ready, logs what it needs, and recovers when it is permitted', async (_what, ownRules) => {
  await permit('&member:*', '&broadcast:all', ...ownRules)
  const restricted = await startService('realtime-gateway', { REDIS_URL: restrictedUrl(), DRAIN_SECONDS: '1' })
  try {
    await waitFor(() => restricted.logs.some((line) => line.includes('&gateway:*')), {
      what: 'the log of the missing permission',
      deadlineMs: 20_000,
    })
    const session = await openSession(restricted, { memberId: 21 })
    await subscribe(session, '0', queue)
    await publishAndExpect(session, 21, 'served')
    const { status, text } = await fetchOps(restricted, '/ready')
    expect([status, JSON.parse(text)]).toEqual([503, { ready: false, failing: ['redis'] }])
    await permit(...allowed)
    await waitUntilReady(restricted)
    await session.leaves()
  } finally {
    await restricted.kill()
  }
})

test('with the documented keys it refuses what was revoked before it started; without those of the revocations it is not ready', async () => {
  const { redis } = stack.publisher
  const nowSeconds = Math.floor(Date.now() / 1_000)
  await redis.hset('{gateway:control}:revocation', ':auth0|41', `${nowSeconds} ${nowSeconds + 600}`)
  const token = memberToken('auth0|41', { claims: { iat: nowSeconds - 60 } })
  await permit(...allowed, ...keysWithoutTopics)
  const restricted = await startService('realtime-gateway', { REDIS_URL: restrictedUrl(), DRAIN_SECONDS: '1' })
  try {
    await waitFor(() => restricted.logs.some((line) => line.includes('revocations not read')), {
      what: 'the log of the missing permission',
      deadlineMs: 20_000,
    })
    // Its own publications return to it.
    await waitFor(async () => (await readMetric(restricted, 'redis_lag_seconds{shard="redis"}')) > 0, {
      what: 'the canary to return',
      deadlineMs: 20_000,
    })
    expect((await fetchOps(restricted, '/ready')).status).toBe(503)
    await permit(...allowed, ...documentedKeys)
    await waitUntilReady(restricted)
    expect(await openRawSession(restricted.url, { token })).toMatchObject({ status: 401 })
  } finally {
    await restricted.kill()
    await redis.del('{gateway:control}:revocation')
  }
})

test('each command that the user of infra/privilege lacks is named', async () => {
  const acl = readFileSync(new URL('../../../infra/privilege/redis.acl', import.meta.url), 'utf8')
  const [, name = '', ...rules] =
    acl
      .split('\n')
      .find((line) => line.startsWith('user tidings-gateway '))
      ?.split(' ') ?? []
  const target = { url: stack.redis.url.replace('redis://', `redis://${name}:replace-me-gateway@`), prefix: '' }
  const log = openLog('test', 'fatal')
  const missedBy = async (...change: string[]) => {
    await stack.publisher.redis.call('ACL', 'SETUSER', name, 'reset', ...rules, ...change)
    const permissions = new RedisPermissions(target, { connectionName: 'test', commands: neededCommands(target), log })
    const refused = await new Promise<readonly string[]>((resolve) => {
      void permissions.untilPermitted(() => resolve(permissions.refused)).then(() => resolve([]))
    })
    await permissions.close()
    return refused.map((command) => command.split(' ')[0])
  }
  expect(await missedBy()).toEqual([])
  // Without a name the connection works too. A refusal to subscribe is reported for the channel.
  const others = new Set(['+client|setname', '+subscribe', '+unsubscribe'])
  for (const command of rules.filter((rule) => rule.startsWith('+') && !others.has(rule))) {
    expect(new Set(await missedBy(command.replace('+', '-'))), command).toEqual(new Set([command.slice(1)]))
  }
})
