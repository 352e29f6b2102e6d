import { createSign, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { memberToken, openRawSession, type RawSession, type RefusedUpgrade, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Bed, connected, metric, openBed } from './fixture/gateway.ts'

let bed: Bed
let gateway: ServiceProcess
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })

beforeAll(async () => {
  bed = await openBed()
  gateway = await bed.gateway({ ALLOWED_ORIGINS: 'http://localhost:8080,https://*.example.com' })
})
afterAll(() => bed.close())

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
const claims = { sub: '1', exp: Math.floor(Date.now() / 1_000) + 600 }

function tampered(): string {
  const [header, , signature] = memberToken(1).split('.')
  return `${header}.${encode({ ...claims, sub: '2' })}.${signature}`
}

function signedRs256(header = {}): string {
  const content = `${encode({ alg: 'RS256', typ: 'JWT', ...header })}.${encode(claims)}`
  return `${content}.${createSign('RSA-SHA256').update(content).sign(privateKey, 'base64url')}`
}

async function refused(upgrade: Parameters<typeof openRawSession>[1]): Promise<RefusedUpgrade> {
  const answer = await openRawSession(gateway.url, upgrade)
  if (!('status' in answer)) throw new Error('the upgrade was accepted')
  return answer
}

describe('before the upgrade', () => {
  test.each([
    ['no cookie', {}, 'no token'],
    ['another cookie', { cookie: 'session=1' }, 'no token'],
    ['an empty token', { cookie: 'access_token=' }, 'no token'],
    ['garbage', { token: 'garbage' }, 'malformed'],
    ['three parts of garbage', { token: 'a.b.c' }, 'malformed'],
    ['a tampered token', { token: tampered() }, 'signature'],
    ['another secret', { token: memberToken(1, { secret: 'x'.repeat(32) }) }, 'signature'],
    ['an expired token', { token: memberToken(1, { expiresInSeconds: -1 }) }, 'expired'],
    ['a token that is not valid yet', { token: memberToken(1, { claims: { nbf: claims.exp } }) }, 'not valid yet'],
    ['alg none', { token: `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.` }, 'not signed|another algorithm'],
    ['another algorithm', { token: signedRs256() }, 'another algorithm'],
    ['no exp', { token: memberToken(1, { claims: { exp: undefined } }) }, 'lacks sub or exp'],
    ['no sub', { token: memberToken(1, { claims: { sub: undefined } }) }, 'lacks sub or exp'],
    ['a sub that is no member', { token: memberToken(1, { claims: { sub: 'admin' } }) }, 'not a member id'],
  ])('%s: 401, and why', async (_, upgrade, reason) => {
    const { status, headers, body } = await refused(upgrade)
    expect([status, headers['content-type']]).toEqual([401, expect.stringContaining('application/problem+json')])
    const problem = JSON.parse(body) as { title: string; detail: string }
    expect(problem.title).toBe('Unauthorized')
    expect(problem.detail).toMatch(new RegExp(`^cookie access_token: .*(${reason})`))
  })

  test.each([
    null,
    '',
    'null',
    'http://localhost:8081',
    'http://localhost',
    'https://localhost:8080',
    'https://example.com',
    'https://example.com.evil.org',
    'https://evil.org/.example.com',
    'http://a.example.com',
    'https://a.example.com:8443',
  ])('Origin %s: 403, even with a good token', async (origin) => {
    const { status, body } = await refused({ origin, token: memberToken(1) })
    expect([status, (JSON.parse(body) as { detail: string }).detail]).toEqual([403, 'the Origin is not allowed'])
  })

  test('a key that must be fetched first', async () => {
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig' }]
    const issuer = createServer((_request, response) => response.end(JSON.stringify({ keys }))).listen(0, '127.0.0.1')
    onTestFinished(() => void issuer.close())
    await once(issuer, 'listening')
    const jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`
    const other = await bed.gateway({ MEMBER_JWT_SECRET: undefined, MEMBER_JWKS_URL: jwksUrl })
    // All of them wait for the same fetch.
    const sessions = await Promise.all([1, 2, 3].map(() => connected(other, { token: signedRs256({ kid: 'k1' }) })))
    expect(sessions).toHaveLength(3)
    expect(await openRawSession(other.url, { token: signedRs256({ kid: 'k2' }) })).toMatchObject({
      status: 401,
      body: expect.stringContaining('unknown key'),
    })
    expect(await openRawSession(other.url, { token: memberToken(1) })).toMatchObject({ status: 401 })
  })

  test('a public key in the configuration takes no HS256 token made of it', async () => {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const other = await bed.gateway({ MEMBER_JWT_SECRET: undefined, MEMBER_JWT_PUBLIC_KEY: pem })
    expect(await openRawSession(other.url, { token: memberToken(1, { secret: pem }) })).toMatchObject({ status: 401 })
    const session = (await openRawSession(other.url, { token: signedRs256() })) as RawSession
    await session.leaves()
  })

  test('refusals are counted', async () => {
    const before = await metric(gateway, 'refused_upgrades_total{status="401"}')
    await refused({})
    expect(await metric(gateway, 'refused_upgrades_total{status="401"}')).toBe(before + 1)
  })
})

function upgradeStatus(method: string, path: string, headers = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(`${gateway.url}${path}`, {
      method,
      agent: false,
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version': '13',
        origin: 'http://localhost:8080',
        cookie: `access_token=${memberToken(1)}`,
        ...headers,
      },
    })
    asked.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.on('upgrade', (_, socket) => {
      socket.destroy()
      resolve(101)
    })
    asked.on('error', reject)
    asked.end()
  })
}

describe('the only route', () => {
  test.each(['/', '/ws/', '/ws/x', '/WS', '/wss', '//ws', '/metrics', '/live'])('GET %s is no upgrade', async (path) => {
    expect(await upgradeStatus('GET', path)).toBe(404)
  })

  test.each(['POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])('%s /ws is no upgrade', async (method) => {
    expect([404, 405, 426]).toContain(await upgradeStatus(method, '/ws'))
  })

  test('a plain GET is told to upgrade', async () => {
    const response = await fetch(`${gateway.url}/ws`)
    expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket'])
  })

  test('a broken WebSocket handshake is refused', async () => {
    expect(await upgradeStatus('GET', '/ws', { 'sec-websocket-version': '12' })).toBe(400)
    expect(await upgradeStatus('GET', '/ws', { 'sec-websocket-key': 'short' })).toBe(400)
  })

  test('after all that nothing is open', async () => {
    expect(await metric(gateway, 'sessions')).toBe(0)
  })
})

test.each([
  [['v10.stomp', 'v12.stomp', 'v11.stomp'], 'v12.stomp'],
  [['v10.stomp', 'v11.stomp'], 'v11.stomp'],
  [['v10.stomp'], 'v10.stomp'],
  [[], ''],
])('of the subprotocols %j the best is %j', async (protocols, chosen) => {
  const session = (await openRawSession(gateway.url, { token: memberToken(1), protocols })) as RawSession
  expect(session.protocol).toBe(chosen)
  await session.leaves()
})

test('a subprotocol that is not ours is not chosen', async () => {
  await expect(openRawSession(gateway.url, { token: memberToken(1), protocols: ['mqtt'] })).rejects.toThrow('no subprotocol')
})

test('an Origin by pattern, and another name for the cookie', async () => {
  const other = await bed.gateway({ ALLOWED_ORIGINS: 'https://*.example.com', MEMBER_COOKIE: 'sid' })
  const cookie = `access_token=x; sid=${memberToken(1)}`
  const session = (await openRawSession(other.url, { origin: 'https://a.b.example.com', cookie })) as RawSession
  await session.leaves()
})

test('a full gateway answers 503, and takes the next when one has left', async () => {
  const small = await bed.gateway({ MAX_SESSIONS: '2' })
  const [first] = [await connected(small, { memberId: 1 }), await connected(small, { memberId: 2 })]
  const refusal = await openRawSession(small.url, { token: memberToken(3) })
  expect(refusal).toMatchObject({ status: 503, headers: { 'retry-after': '5' }, body: expect.stringContaining('full') })
  await first?.leaves()
  // The client has seen its connection end; the gateway sees it by itself.
  await waitFor(async () => (await metric(small, 'sessions')) === 1, { what: 'the room', deadlineMs: 20_000 })
  await connected(small, { memberId: 3 })
})

test('a draining gateway answers 503', async () => {
  // One goes at once and one stays, for as long as we take to ask.
  const draining = await bed.gateway({ DRAIN_SECONDS: '60' })
  const session = await connected(draining)
  const other = await connected(draining)
  void draining.kill('SIGTERM')
  await Promise.race([session.closed(), other.closed()])
  const refusal = await openRawSession(draining.url, { token: memberToken(3) })
  expect(refusal).toMatchObject({ status: 503, headers: { 'retry-after': '1' }, body: expect.stringContaining('stopping') })
  for (const each of [session, other]) each.socket.terminate()
  expect(await draining.exited).toEqual({ code: 0, signal: null })
})
