import { createSign, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import {
  connectStomp,
  memberToken,
  openRawSession,
  type RawSession,
  type RefusedUpgrade,
  type ServiceProcess,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { type GatewayStack, openSession, readMetric, startGatewayStack } from './fixture/gateway.ts'

let stack: GatewayStack
let gateway: ServiceProcess
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })

beforeAll(async () => {
  stack = await startGatewayStack()
  gateway = await stack.startGateway({ ALLOWED_ORIGINS: 'http://localhost:8080,https://*.example.com,capacitor://localhost' })
})
afterAll(() => stack.close())

const encodeJwtPart = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
const claims = { sub: '1', exp: Math.floor(Date.now() / 1_000) + 600 }

/** Returns a valid token whose claims were replaced after signing. */
function tamperedToken(): string {
  const [header, , signature] = memberToken(1).split('.')
  return `${header}.${encodeJwtPart({ ...claims, sub: '2' })}.${signature}`
}

function rs256Token(header = {}): string {
  const content = `${encodeJwtPart({ alg: 'RS256', typ: 'JWT', ...header })}.${encodeJwtPart(claims)}`
  return `${content}.${createSign('RSA-SHA256').update(content).sign(privateKey, 'base64url')}`
}

async function expectRefusedUpgrade(upgrade: Parameters<typeof openRawSession>[1]): Promise<RefusedUpgrade> {
  const refusal = await openRawSession(gateway.url, upgrade)
  if (!('status' in refusal)) throw new Error('the upgrade was accepted')
  return refusal
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

const claimedToken = (own: object) =>
  memberToken(1, { claims: { sub: 'a-uuid', uid: 7, iss: 'https://issuer.example', aud: ['a', 'tidings'], ...own } })

describe('before the upgrade', () => {
  test.each([
    ['no cookie', {}, 'no token'],
    ['a cookie of another name', { cookie: 'session=1' }, 'no token'],
    ['an empty token', { cookie: 'access_token=' }, 'no token'],
    ['a token of one part', { token: 'garbage' }, 'malformed'],
    ['a token of three invalid parts', { token: 'a.b.c' }, 'malformed'],
    ['a stale token twice', { cookie: 'access_token=x; access_token="y"' }, 'malformed'],
    ['a token that lives for 91 days', { token: memberToken(1, { expiresInSeconds: 91 * 86_400 }) }, 'more than 90 days'],
    ['a tampered token', { token: tamperedToken() }, 'signature'],
    ['a token signed with another secret', { token: memberToken(1, { secret: 'x'.repeat(32) }) }, 'signature'],
    ['an expired token', { token: memberToken(1, { expiresInSeconds: -60 }) }, 'expired'],
    ['a token that is not valid yet', { token: memberToken(1, { claims: { nbf: claims.exp } }) }, 'not valid yet'],
    [
      'a token with alg none',
      { token: `${encodeJwtPart({ alg: 'none', typ: 'JWT' })}.${encodeJwtPart(claims)}.` },
      'not signed|another algorithm',
    ],
    ['a token with another algorithm', { token: rs256Token() }, 'another algorithm'],
    ['a token without exp', { token: memberToken(1, { claims: { exp: undefined } }) }, 'lacks exp'],
    ['a token without sub', { token: memberToken(1, { claims: { sub: undefined } }) }, 'lacks sub'],
    ['a token whose sub is not a member id', { token: memberToken(1, { claims: { sub: 'a b' } }) }, 'not a member id'],
  ])('refuses the upgrade with 401 and the reason: %s', async (_, upgrade, reason) => {
    const { status, headers, body } = await expectRefusedUpgrade(upgrade)
    expect([status, headers['content-type']]).toEqual([401, expect.stringContaining('application/problem+json')])
    expect(headers['www-authenticate']).toBe('Bearer realm="tidings", Cookie realm="tidings", cookie-name="access_token"')
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
  ])('refuses the upgrade with 403 although the token is valid: Origin %s', async (origin) => {
    const { status, body } = await expectRefusedUpgrade({ origin, token: memberToken(1) })
    expect([status, (JSON.parse(body) as { detail: string }).detail]).toEqual([403, 'the Origin is not allowed'])
  })

  test.each([
    [
      'an expired token',
      { headers: bearer(memberToken(1, { expiresInSeconds: -60 })) },
      401,
      'authorization: the token has expired',
    ],
    [
      'an invalid token, although the cookie is valid',
      { headers: bearer('garbage'), token: memberToken(1) },
      401,
      'authorization: the token is malformed',
    ],
    [
      'an Origin that is not allowed',
      { headers: bearer(memberToken(1)), origin: 'https://evil.org' },
      403,
      'the Origin is not allowed',
    ],
    ['the Origin null', { headers: bearer(memberToken(1)), origin: 'null' }, 403, 'the Origin is not allowed'],
    ['another scheme', { headers: { authorization: `Basic ${memberToken(1)}` } }, 403, 'the Origin is not allowed'],
  ])('refuses the upgrade of a native client: %s', async (_, upgrade, expected, detail) => {
    const { status, headers, body } = await expectRefusedUpgrade({ origin: null, ...upgrade })
    expect([status, (JSON.parse(body) as { detail: string }).detail]).toEqual([expected, detail])
    if (status === 401) expect(headers['www-authenticate']).toContain(`Bearer realm="tidings", error="invalid_token", error_desc`)
  })

  test.each([
    ['Bearer and no Origin', { headers: bearer(memberToken(1)), origin: null }],
    ['Bearer and an allowed Origin', { headers: bearer(memberToken(1)) }],
    ['Bearer beside a cookie', { headers: bearer(memberToken(1)), cookie: 'access_token=garbage', origin: null }],
    [
      'a stale cookie before the valid one',
      { cookie: `access_token=${memberToken(2, { expiresInSeconds: -60 })}; access_token=${memberToken(1)}` },
    ],
    ['a quoted cookie', { cookie: `access_token="${memberToken(1)}"` }],
    ['the Origin with its own port and upper case', { token: memberToken(1), origin: 'https://A.Example.com:443' }],
    ['the Origin of an app', { token: memberToken(1), origin: 'capacitor://localhost' }],
    ['Basic for a proxy beside the cookie', { token: memberToken(1), headers: { authorization: 'Basic dXNlcjpwdw==' } }],
    [
      'a token whose nbf is two seconds ahead',
      { token: memberToken(1, { claims: { nbf: Math.floor(Date.now() / 1_000) + 2 } }) },
    ],
  ])('accepts the upgrade: %s', async (_, upgrade) => {
    const { session, connected } = await connectStomp(gateway.url, upgrade)
    expect(connected.headers.get('user-name')).toBe('1')
    await session.leaves()
  })

  test('checks the issuer and the audience, and takes the member from MEMBER_CLAIM', async () => {
    const other = await stack.startGateway({
      MEMBER_CLAIM: 'uid',
      MEMBER_ISSUER: 'https://issuer.example',
      MEMBER_AUDIENCE: 'tidings',
    })
    const { session, connected } = await connectStomp(other.url, { token: claimedToken({}) })
    expect(connected.headers.get('user-name')).toBe('7')
    await session.leaves()
    for (const [own, reason] of [
      [{ iss: 'https://other.example' }, 'another issuer'],
      [{ aud: 'other' }, 'another audience'],
      [{ uid: [7] }, 'uid of the token'],
      [{ uid: undefined }, 'lacks uid'],
    ] as const)
      expect(await openRawSession(other.url, { token: claimedToken(own) })).toMatchObject({
        status: 401,
        body: expect.stringContaining(reason),
      })
  })

  test('logs and counts an issuer that does not respond', async () => {
    const lines: string[] = []
    const env = { MEMBER_JWT_SECRET: undefined, MEMBER_JWKS_URL: 'http://127.0.0.1:1/jwks' }
    const other = await stack.startGateway(env, { onLine: (line) => lines.push(line) })
    for (const _ of [1, 2])
      expect(await openRawSession(other.url, { token: rs256Token({ kid: 'k' }) })).toMatchObject({ status: 401 })
    expect(await readMetric(other, 'jwks_failures_total')).toBe(1)
    expect(lines.filter((line) => line.includes('the JWKS could not be fetched'))).toHaveLength(1)
  })

  test('verifies tokens with keys from a JWKS URL', async () => {
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig' }]
    const issuer = createServer((_request, response) => response.end(JSON.stringify({ keys }))).listen(0, '127.0.0.1')
    onTestFinished(() => void issuer.close())
    await once(issuer, 'listening')
    const jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`
    const other = await stack.startGateway({ MEMBER_JWT_SECRET: undefined, MEMBER_JWKS_URL: jwksUrl })
    // Concurrent handshakes share the first fetch of the keys.
    const sessions = await Promise.all([1, 2, 3].map(() => openSession(other, { token: rs256Token({ kid: 'k1' }) })))
    expect(sessions).toHaveLength(3)
    expect(await openRawSession(other.url, { token: rs256Token({ kid: 'k2' }) })).toMatchObject({
      status: 401,
      body: expect.stringContaining('unknown key'),
    })
    expect(await openRawSession(other.url, { token: memberToken(1) })).toMatchObject({ status: 401 })
  })

  test('logs that the JWKS could not be fetched', async () => {
    const other = await stack.startGateway({ MEMBER_JWT_SECRET: undefined, MEMBER_JWKS_URL: 'http://127.0.0.1:1/jwks' })
    expect(await openRawSession(other.url, { token: rs256Token({ kid: 'k1' }) })).toMatchObject({ status: 401 })
    await waitFor(() => other.logs.some((line) => line.includes('the JWKS could not be fetched')), { what: 'the log line' })
  })

  test('refuses an HS256 token that is signed with the text of the configured public key', async () => {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
    const other = await stack.startGateway({ MEMBER_JWT_SECRET: undefined, MEMBER_JWT_PUBLIC_KEY: pem })
    expect(await openRawSession(other.url, { token: memberToken(1, { secret: pem }) })).toMatchObject({ status: 401 })
    const session = (await openRawSession(other.url, { token: rs256Token() })) as RawSession
    await session.leaves()
  })

  test('counts refusals by status in refused_upgrades_total', async () => {
    const before = await readMetric(gateway, 'refused_upgrades_total{status="401"}')
    await expectRefusedUpgrade({})
    expect(await readMetric(gateway, 'refused_upgrades_total{status="401"}')).toBe(before + 1)
  })
})

/** Sends an upgrade request, and resolves to the status of the response: 101 when it is accepted. */
function upgradeStatus(method: string, path: string, headers = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const upgrade = request(`${gateway.url}${path}`, {
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
    upgrade.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    upgrade.on('upgrade', (_, socket) => {
      socket.destroy()
      resolve(101)
    })
    upgrade.on('error', reject)
    upgrade.end()
  })
}

describe('the only route', () => {
  test.each(['/', '/ws/', '/ws/x', '/WS', '/wss', '//ws', '/metrics', '/live'])(
    'responds to an upgrade at %s with 404',
    async (path) => {
      expect(await upgradeStatus('GET', path)).toBe(404)
    },
  )

  test.each(['POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])('refuses an upgrade with the method %s', async (method) => {
    expect([404, 405, 426]).toContain(await upgradeStatus(method, '/ws'))
  })

  test('responds to GET /ws without an upgrade with 426', async () => {
    const response = await fetch(`${gateway.url}/ws`)
    expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket'])
  })

  test('responds to an upgrade to another protocol with 426', async () => {
    expect(await upgradeStatus('GET', '/ws', { upgrade: 'h2c' })).toBe(426)
  })

  test('responds to an invalid WebSocket handshake with 400', async () => {
    expect(await upgradeStatus('GET', '/ws', { 'sec-websocket-version': '12' })).toBe(400)
    expect(await upgradeStatus('GET', '/ws', { 'sec-websocket-key': 'short' })).toBe(400)
  })

  test('has opened no session for any of these requests', async () => {
    expect(await readMetric(gateway, 'sessions')).toBe(0)
  })
})

test.each([
  [['v10.stomp', 'v12.stomp', 'v11.stomp'], 'v12.stomp'],
  [['v10.stomp', 'v11.stomp'], 'v11.stomp'],
  [['v10.stomp'], 'v10.stomp'],
  [[], ''],
])('chooses from the subprotocols %j the newest version: %j', async (protocols, chosen) => {
  const session = (await openRawSession(gateway.url, { token: memberToken(1), protocols })) as RawSession
  expect(session.protocol).toBe(chosen)
  await session.leaves()
})

test('chooses no unknown subprotocol', async () => {
  await expect(openRawSession(gateway.url, { token: memberToken(1), protocols: ['mqtt'] })).rejects.toThrow('no subprotocol')
})

test('accepts an Origin that matches a pattern, and the cookie named by MEMBER_COOKIE', async () => {
  const other = await stack.startGateway({ ALLOWED_ORIGINS: 'https://*.example.com', MEMBER_COOKIE: 'sid' })
  const cookie = `access_token=x; sid=${memberToken(1)}`
  const session = (await openRawSession(other.url, { origin: 'https://a.b.example.com', cookie })) as RawSession
  await session.leaves()
})

test('refuses the upgrade with 503 at MAX_SESSIONS, and accepts one again after a session has ended', async () => {
  const fullGateway = await stack.startGateway({ MAX_SESSIONS: '2' })
  const [first] = [await openSession(fullGateway, { memberId: 1 }), await openSession(fullGateway, { memberId: 2 })]
  const refusal = await openRawSession(fullGateway.url, { token: memberToken(3) })
  expect(refusal).toMatchObject({ status: 503, headers: { 'retry-after': '5' }, body: expect.stringContaining('full') })
  await first?.leaves()
  // The gateway may notice the close later than the client.
  await waitFor(async () => (await readMetric(fullGateway, 'sessions')) === 1, {
    what: 'the gateway to notice the close',
    deadlineMs: 20_000,
  })
  await openSession(fullGateway, { memberId: 3 })
})

test('refuses the upgrade with 503 while draining', async () => {
  // One session is closed at once. The other one is due much later and keeps the gateway draining meanwhile.
  const draining = await stack.startGateway({ DRAIN_SECONDS: '60' })
  const session = await openSession(draining)
  const other = await openSession(draining)
  void draining.kill('SIGTERM')
  await Promise.race([session.closed(), other.closed()])
  const refusal = await openRawSession(draining.url, { token: memberToken(3) })
  expect(refusal).toMatchObject({ status: 503, headers: { 'retry-after': '1' }, body: expect.stringContaining('stopping') })
  for (const each of [session, other]) each.socket.terminate()
  expect(await draining.exited).toEqual({ code: 0, signal: null })
})

describe('the id of a request', () => {
  const id = { 'x-request-id': 'lb-1:2/3' }
  const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown

  test('is in every refusal', async () => {
    const refused = await expectRefusedUpgrade({ headers: id })
    expect(refused).toMatchObject({ status: 401, headers: id })
    expect(JSON.parse(refused.body)).toMatchObject({ requestId: id['x-request-id'] })
    for (const path of ['/ws', '/other', '/%']) {
      const response = await fetch(`${gateway.url}${path}`, { headers: id })
      expect(response.headers.get('x-request-id'), path).toBe(id['x-request-id'])
      expect(await response.json(), path).toMatchObject({ status: response.status, requestId: id['x-request-id'] })
    }
  })

  test('is new when the request has none, or one that is not valid', async () => {
    const first = await expectRefusedUpgrade({})
    const second = await expectRefusedUpgrade({ headers: { 'x-request-id': 'a,b' } })
    for (const { headers, body } of [first, second]) {
      expect(headers['x-request-id']).toEqual(uuid)
      expect(JSON.parse(body)).toMatchObject({ requestId: headers['x-request-id'] })
    }
    expect(first.headers['x-request-id']).not.toBe(second.headers['x-request-id'])
  })

  test('is in the response to a request that is not HTTP', async () => {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.write('GET /ws HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n')
    expect(await text(socket)).toMatch(
      /^HTTP\/1\.1 400 Bad Request\r\n.*\r\nX-Request-Id: ([0-9a-f-]{36})\r\n.*"requestId":"\1"\}$/s,
    )
  })

  test('is in the response to an upgrade, and in the log line at the end of its session', async () => {
    const lines: string[] = []
    const own = await stack.startGateway({}, { onLine: (line) => lines.push(line) })
    const socket = new WebSocket(`${own.url.replace('http', 'ws')}/ws`, ['v12.stomp'], {
      headers: { ...id, ...bearer(memberToken(1)) },
    })
    const [response] = (await once(socket, 'upgrade')) as [IncomingMessage]
    expect(response.headers).toMatchObject(id)
    socket.close()
    const line = await waitFor(() => lines.find((each) => each.includes('session closed')), { what: 'the session to end' })
    expect(JSON.parse(line)).toMatchObject({ requestId: id['x-request-id'], sessionId: uuid, memberId: 1 })
  })
})
