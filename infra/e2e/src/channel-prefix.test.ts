import { randomUUID } from 'node:crypto'
import {
  connectStomp,
  createDatabase,
  localOrigin,
  memberToken,
  type RawSession,
  type RedisServer,
  type ServerFrame,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })

/** One product on a Redis that it shares with another. */
interface Environment {
  readonly api: ServiceProcess
  readonly gateway: ServiceProcess
  post(path: string, body: object): Promise<Record<string, unknown>>
}

let redis: RedisServer
let staging: Environment
let production: Environment

async function startEnvironment(name: string): Promise<Environment> {
  const shared = { REDIS_URL: `${redis.url}/1`, CHANNEL_PREFIX: name, PUBLIC_TOPICS: 'order.*' }
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), `e2e_prefix_${name}`)
  const api = await startService('notify-api', { ...shared, MYSQL_URL })
  const gateway = await startService('realtime-gateway', { ...shared, NOTIFY_API_URL: api.url })
  const ready = `http://127.0.0.1:${gateway.opsPort}/ready`
  await waitFor(async () => (await fetch(ready)).ok, { what: `the gateway of ${name} to be ready`, deadlineMs: 30_000 })
  return {
    api,
    gateway,
    async post(path, body) {
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${serviceToken()}` }
      const response = await fetch(api.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
      const text = await response.text()
      if (!response.ok) throw new Error(`POST ${path} returned ${response.status} ${text}`)
      return JSON.parse(text) as Record<string, unknown>
    },
  }
}

beforeAll(async () => {
  redis = await startRedis()
  ;[staging, production] = await Promise.all([startEnvironment('staging'), startEnvironment('production')])
}, 90_000)
afterAll(async () => {
  const services = [staging, production].flatMap((each) => (each ? [each.api, each.gateway] : []))
  await Promise.all(services.map((service) => service.kill()))
  await redis?.kill()
})

async function openSession({ gateway }: Environment, destinations: readonly string[]): Promise<RawSession> {
  const { session } = await connectStomp(gateway.url, { memberId: 7 })
  for (const destination of destinations) {
    session.sends(`SUBSCRIBE\nid:${destination}\ndestination:${destination}\nreceipt:${destination}\n\n\0`)
    const frame = await session.nextFrame(20_000)
    if (frame.command !== 'RECEIPT') throw new Error(`${frame.command} ${frame.body}`)
  }
  return session
}

/** Resolves to the next frame, which must be a MESSAGE of the destination. */
async function nextMessage(session: RawSession, destination: string): Promise<ServerFrame> {
  const frame = await session.nextFrame(20_000)
  expect([frame.command, frame.headers.get('destination')]).toEqual(['MESSAGE', destination])
  return frame
}

test('two environments with prefixes share a Redis, and nothing crosses', async () => {
  const taskId = randomUUID()
  const queues = ['notification', 'read', 'task', `task.${taskId}`, 'cart'].map((queue) => `/member/queue/${queue}`)
  const destinations = [...queues, '/topic/all', '/topic/order.17']
  const other = await openSession(production, destinations)
  expect(await staging.post('/presence', { memberIds: [7] })).toEqual({ members: [{ memberId: 7, online: false }] })
  const session = await openSession(staging, destinations)
  expect(await staging.post('/presence', { memberIds: [7] })).toEqual({ members: [{ memberId: 7, online: true }] })

  const content = { message: 'hello', redirectPath: '/' }
  const { notificationId } = await staging.post('/notification/send', { memberId: 7, ...content })
  await nextMessage(session, '/member/queue/notification')
  await staging.post('/notification/broadcast', content)
  await nextMessage(session, '/topic/all')
  const headers = { cookie: `access_token=${memberToken(7)}`, origin: localOrigin, 'content-type': 'application/json' }
  await fetch(`${staging.api.url}/notification/${String(notificationId)}/read`, { method: 'POST', headers })
  await nextMessage(session, '/member/queue/read')
  await staging.post('/message', { destination: '/member/queue/cart', memberIds: [7], body: 1 })
  await nextMessage(session, '/member/queue/cart')
  await staging.post('/message', { destination: '/topic/order.17', body: 1 })
  await nextMessage(session, '/topic/order.17')
  await staging.post('/task', { taskId, memberId: 7, kind: 'chat' })
  await staging.post(`/task/${taskId}/event`, { type: 'append', text: '한글' })
  await staging.post(`/task/${taskId}/finish`, { status: 'succeeded' })
  const ofTasks: (string | undefined)[] = []
  while (ofTasks.length < 5) ofTasks.push((await session.nextFrame(20_000)).headers.get('destination'))
  expect(new Set(ofTasks)).toEqual(new Set(['/member/queue/task', `/member/queue/task.${taskId}`]))
  const sessions = await fetch(`${staging.api.url}/session`, { headers })
  expect(await sessions.json()).toMatchObject({ sessions: [{ sessionId: expect.any(String) }], complete: true })
  await staging.post('/session/revoke', { memberId: 7 })
  expect((await session.closed()).code).toBe(4401)

  // The first that production receives is its own.
  await production.post('/message', { destination: '/member/queue/cart', memberIds: [7], body: 'of production' })
  expect((await nextMessage(other, '/member/queue/cart')).body).toBe('"of production"')
})

test('every key and channel in Redis begins with the prefix', async () => {
  const client = new Redis(redis.url, { db: 1 })
  await openSession(staging, ['/member/queue/notification'])
  const names = [...(await client.keys('*')), ...((await client.call('PUBSUB', 'CHANNELS')) as string[])]
  client.disconnect()
  expect(names.filter((name) => !/^\{?(?:staging|production):/.test(name))).toEqual([])
  for (const name of ['staging:gateway:control', 'staging:tidings:run', 'staging:task:ended']) expect(names).toContain(name)
  expect(names).toContain('{staging:member:7:notification}:history')
})

test('a database number without a prefix is refused at the start of both services', async () => {
  const refusal = 'REDIS_URL: has the database number 1, which Redis ignores for Pub/Sub: set CHANNEL_PREFIX, or use database 0'
  const REDIS_URL = `${redis.url}/1`
  await expect(startService('realtime-gateway', { REDIS_URL })).rejects.toThrow(refusal)
  await expect(startService('notify-api', { REDIS_URL, MYSQL_URL: 'mysql://127.0.0.1:1/tidings' })).rejects.toThrow(refusal)
})
