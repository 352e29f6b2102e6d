import {
  connectStomp,
  createDatabase,
  localOrigin,
  memberToken,
  queryDatabase,
  openRawSession,
  type RawSession,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import type { MemberId } from '@tidings/protocol'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type Link, openLink } from './chaos/link.ts'

const deadlineMs = 20_000
const nowSeconds = () => Math.floor(Date.now() / 1_000)
/** The token of a device that signed in a minute ago. */
const oldToken = (memberId: MemberId) => memberToken(memberId, { claims: { iat: nowSeconds() - 60 } })

let redis: RedisServer
/** Between the first gateway and Redis. */
let link: Link
let apis: ServiceProcess[]
let gateways: ServiceProcess[]
let databaseUrl: string

beforeAll(async () => {
  redis = await startRedis()
  link = await openLink(redis.port)
  databaseUrl = await createDatabase(inject('databaseServerUrl'), 'e2e_revocation')
  const api = { MYSQL_URL: databaseUrl, REDIS_URL: redis.url }
  apis = [await startService('notify-api', api), await startService('notify-api', api)]
  gateways = await Promise.all(
    [`redis://127.0.0.1:${link.port}`, redis.url].map((REDIS_URL) =>
      startService('realtime-gateway', { REDIS_URL, NOTIFY_API_URL: apis[0]?.url }),
    ),
  )
  for (const gateway of gateways) await untilReady(gateway)
})
afterAll(async () => {
  await Promise.all([...apis, ...gateways].map((service) => service.kill()))
  link.close()
  await redis.kill()
})

function untilReady(gateway: ServiceProcess): Promise<unknown> {
  return waitFor(async () => (await fetch(`http://127.0.0.1:${gateway.opsPort}/ready`)).status === 200, {
    what: 'the gateway to be ready',
    deadlineMs,
  })
}

async function revoke(body: object, [api] = apis): Promise<Response> {
  return fetch(`${api?.url}/session/revoke`, {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

/** Calls an instance of notify-api as the page of a member. */
function callAs(token: string, path: string, { api = apis[0], method = 'GET' } = {}): Promise<Response> {
  const cookie = `access_token=${token}`
  return fetch(`${api?.url}${path}`, { method, headers: { cookie, origin: localOrigin, 'content-type': 'application/json' } })
}

async function listOf(token: string) {
  return (await (await callAs(token, '/session')).json()) as {
    sessions: { sessionId: string; userAgent?: string; current: boolean }[]
    complete: boolean
  }
}

async function openSession(gateway: ServiceProcess | undefined, token: string): Promise<RawSession> {
  return (await connectStomp(gateway?.url ?? '', { token })).session
}

async function expectRevoked(session: RawSession): Promise<void> {
  const error = await session.nextFrame(deadlineMs)
  expect([error.command, error.headers.get('message')]).toEqual(['ERROR', 'the session was revoked'])
  expect((await session.closed()).code).toBe(4401)
}

/** The status of an upgrade with this token: 101, or that of the refusal. */
async function handshakeStatus(gateway: ServiceProcess | undefined, token: string): Promise<number> {
  const opened = await openRawSession(gateway?.url ?? '', { token })
  if (!('nextFrame' in opened)) return opened.status
  opened.socket.terminate()
  return 101
}

/** Resolves when both services refuse the token, everywhere. */
async function untilRefused(token: string): Promise<void> {
  for (const api of apis)
    await waitFor(async () => (await callAs(token, '/notification/unread-count', { api })).status === 401, {
      what: 'notify-api to refuse the token',
      deadlineMs,
    })
  for (const gateway of gateways)
    await waitFor(async () => (await handshakeStatus(gateway, token)) === 401, {
      what: 'the gateway to refuse the token',
      deadlineMs,
    })
}

test('a revoked member is out everywhere, and a token that is issued after the response is admitted', async () => {
  const old = oldToken(1)
  const sessions = await Promise.all(gateways.map((gateway) => openSession(gateway, old)))
  const other = await openSession(gateways[0], oldToken(2))
  expect((await revoke({ memberId: 1 })).status).toBe(202)
  const fresh = memberToken(1)
  for (const session of sessions) await expectRevoked(session)
  await untilRefused(old)
  for (const api of apis) expect((await callAs(fresh, '/notification/unread-count', { api })).status).toBe(200)
  for (const gateway of gateways) expect(await handshakeStatus(gateway, fresh)).toBe(101)
  const refused = await callAs(old, '/notification/unread-count')
  expect([refused.headers.get('www-authenticate'), await refused.json()]).toMatchObject([
    expect.stringContaining('Cookie'),
    { detail: expect.stringContaining('the token was revoked') },
  ])
  expect((await listOf(oldToken(2))).sessions).toHaveLength(1)
  other.socket.terminate()
})

test('a token without the time of its issue counts as issued before', async () => {
  const timeless = memberToken(3, { claims: { iat: undefined } })
  const session = await openSession(gateways[0], timeless)
  expect((await revoke({ memberId: 3 })).status).toBe(202)
  await expectRevoked(session)
  await untilRefused(timeless)
})

test('a gateway that was cut off from a Redis that lost its data closes the revoked sessions when it is back', async () => {
  const old = oldToken('auth0|4')
  const session = await openSession(gateways[0], old)
  link.cut()
  expect((await revoke({ memberId: 'auth0|4' })).status).toBe(202)
  await redis.restart()
  link.lead(redis.port)
  await expectRevoked(session)
  for (const gateway of gateways) await untilReady(gateway)
  await untilRefused(old)
  expect(await handshakeStatus(gateways[0], memberToken('auth0|4'))).toBe(101)
})

test('a gateway and an instance of notify-api that start later refuse what was revoked before', async () => {
  const old = oldToken('007')
  expect((await revoke({ memberId: '007' })).status).toBe(202)
  await untilRefused(old)
  await Promise.all([gateways[1]?.kill(), apis[1]?.kill()])
  gateways[1] = (await gateways[1]?.again()) as ServiceProcess
  apis[1] = (await apis[1]?.again()) as ServiceProcess
  await untilReady(gateways[1])
  await untilRefused(old)
})

test('a member sees all sessions, and signs out one device: its token is refused, and the others stay', async () => {
  const phone = memberToken(6, { claims: { jti: 'phone' } })
  const laptop = memberToken(6, { claims: { jti: 'laptop' } })
  const onPhone = await openSession(gateways[0], phone)
  const onLaptop = await openSession(gateways[1], laptop)
  const seen = await listOf(laptop)
  expect(seen).toEqual({
    sessions: [false, true].map((current) =>
      expect.objectContaining({ current, sessionId: expect.any(String), connectedAt: expect.any(String) }),
    ),
    complete: true,
  })
  const [other] = seen.sessions
  const stranger = await callAs(memberToken(7), `/session/${other?.sessionId}/revoke`, { method: 'POST' })
  expect(stranger.status).toBe(404)
  await queryDatabase(
    databaseUrl,
    `INSERT INTO push_subscription (member_id, endpoint_hash, endpoint, p256dh, auth, changed_at)
     VALUES (6, REPEAT('h', 32), 'https://push.example/phone', REPEAT('k', 65), REPEAT('a', 16), NOW(3))`,
  )
  expect((await callAs(laptop, `/session/${other?.sessionId}/revoke`, { method: 'POST' })).status).toBe(204)
  // Which subscription is that of the phone is not known.
  expect(await queryDatabase(databaseUrl, 'SELECT endpoint FROM push_subscription WHERE member_id = 6')).toEqual([])
  await expectRevoked(onPhone)
  await untilRefused(phone)
  expect((await listOf(laptop)).sessions).toMatchObject([{ current: true }])
  // As the product's backend does it.
  const [own] = (await listOf(laptop)).sessions
  expect((await revoke({ memberId: 6, sessionId: own?.sessionId })).status).toBe(202)
  await expectRevoked(onLaptop)
  await untilRefused(laptop)
  expect((await revoke({ memberId: 6, sessionId: own?.sessionId })).status).toBe(404)
})

test('without Redis the sessions are unknown (503), and a revocation is accepted and in force when Redis is back', async () => {
  const old = oldToken(8)
  const session = await openSession(gateways[1], old)
  await redis.kill()
  const list = await callAs(old, '/session')
  expect([list.status, list.headers.get('retry-after')]).toEqual([503, '1'])
  expect((await revoke({ memberId: 8 })).status).toBe(202)
  expect((await callAs(old, '/session')).status).toBe(401)
  await redis.restart()
  link.lead(redis.port)
  await expectRevoked(session)
  await untilRefused(old)
})

test('as many revocations as MAX_REVOCATIONS allows: the next is refused with 503, and nothing is revoked', async () => {
  const small = await startService('notify-api', {
    MYSQL_URL: await createDatabase(inject('databaseServerUrl'), 'e2e_revocation_bound'),
    REDIS_URL: redis.url,
    MAX_REVOCATIONS: '1',
  })
  try {
    expect((await revoke({ memberId: 1 }, [small])).status).toBe(202)
    expect((await revoke({ memberId: 2 }, [small])).status).toBe(503)
    expect((await callAs(oldToken(2), '/notification/unread-count', { api: small })).status).toBe(200)
  } finally {
    await small.kill()
  }
})
