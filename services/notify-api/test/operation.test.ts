import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { Agent, createServer, type IncomingHttpHeaders, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { freePort, localOrigin, memberToken, serviceToken, startService, waitFor } from '@tidings/local'
import { createSigner } from 'fast-jwt'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type ApiResponse, call, hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { openRelay } from './fixture/relay.ts'
import { createTask } from './fixture/task.ts'

const remaining = ({ status, headers }: ApiResponse) => [
  status,
  headers.get('ratelimit-limit'),
  headers.get('ratelimit-remaining'),
]
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

let stack: Stack

beforeAll(async () => {
  stack = await openStack('operation')
})
// Redis resumes also when a test has failed while it was paused.
afterEach(() => stack.redis.resume())
afterAll(() => stack.close())

test('live, ready and metrics are on the ops port and nowhere else', async () => {
  const api = await stack.start()
  await api.send(hello)
  expect(await api.ops('/live')).toBe('{"live":true}')
  await waitFor(async () => (await api.ops('/ready')) === '{"ready":true,"failing":[],"degraded":[]}', { what: 'readiness' })
  // A request is counted after its response is sent.
  const counted = 'http_request_seconds_count{call="/notification/send",status="201"} 1'
  const metrics = await waitFor(async () => [await api.ops('/metrics')].find((text) => text.includes(counted)), {
    what: 'the request to be counted',
  })
  for (const name of [
    counted,
    'group_commit_commands_count 1',
    'group_commit_seconds_sum',
    'queued_writes 0',
    'ready 1',
    'outbox_depth',
    'outbox_oldest_age_seconds',
    'outbox_parked',
    'circuit_open 0',
    'redis_publish_seconds_count',
    'redis_lag_seconds',
    'swept_total 0',
  ]) {
    expect(metrics).toContain(`tidings_${name}`)
  }
  for (const path of ['/live', '/ready', '/metrics']) expect(await call(`${api.url}${path}`, {})).toMatchObject({ status: 404 })
  await api.stop()
})

test('an outage of Redis and a task move the metrics of the outbox, of Redis and of tasks', async () => {
  const api = await stack.start({ PUBLISH_TIMEOUT_MS: '300' })
  const metric = async (name: string) => {
    const text = await api.ops('/metrics')
    const line = text.split('\n').find((each) => each.startsWith(`tidings_${name} `))
    return Number(line?.split(' ').at(-1) ?? 0)
  }
  const until = (name: string, fact: (value: number) => boolean) =>
    waitFor(async () => fact(await metric(name)), { deadlineMs: 20_000, what: name })
  await api.ops('/ready')
  expect(await metric('redis_lag_seconds')).toBeGreaterThan(0)
  expect(await api.send(hello)).toMatchObject({ status: 201 })
  // An instance that finds an empty Redis also publishes a control message, at any time.
  await until('redis_publish_seconds_count', (count) => count >= 1)
  expect(await metric('group_commit_seconds_count')).toBe(1)
  expect(await metric('group_commit_commands_sum')).toBe(1)
  expect(await metric('swept_total')).toBe(0)

  stack.redis.pause()
  expect(await api.send(hello)).toMatchObject({ status: 201 })
  await until('circuit_open', (open) => open === 1)
  await until('outbox_depth', (depth) => depth >= 1)
  await until('outbox_oldest_age_seconds', (seconds) => seconds > 0)
  stack.redis.resume()
  await until('swept_total', (rows) => rows >= 1)
  await until('circuit_open', (open) => open === 0)
  await until('outbox_depth', (depth) => depth === 0)
  expect(await metric('outbox_oldest_age_seconds')).toBe(0)

  const taskId = await createTask(api, 1)
  expect(await api.post(`/task/${taskId}/finish`, { status: 'succeeded' })).toMatchObject({ status: 200 })
  expect(await metric('tasks_ended_total{status="succeeded"}')).toBe(1)
  await api.stop()
})

test('tidings_queued_writes counts the requests that wait for their transaction', async () => {
  const api = await stack.start()
  const queued = async () => /^tidings_queued_writes (\d+)$/m.exec(await api.ops('/metrics'))?.[1]
  const unlock = await stack.lockTable('notification')
  const writing = api.send(hello)
  await waitFor(
    async () =>
      (
        await stack.rows(
          "SELECT 1 FROM information_schema.processlist WHERE state LIKE '%metadata lock%' AND info LIKE '%INSERT INTO notification%' AND db = DATABASE()",
        )
      ).length > 0,
    { what: 'the first transaction to wait for the lock' },
  )
  const waiting = Array.from({ length: 5 }, () => api.send(hello))
  await waitFor(async () => (await queued()) === '5', { what: 'five queued writes' })
  await unlock()
  const responses = await Promise.all([writing, ...waiting])
  expect(responses.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201, 201])
  expect(await queued()).toBe('0')
  await api.stop()
})

test('every response carries the security headers', async () => {
  const api = await stack.start()
  for (const { headers } of [
    await api.send(hello),
    await api.send({}),
    await call(`${api.url}/nothing`, {}),
    await api.member(1).get('/notification'),
  ]) {
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'origin-agent-cluster': '?1',
      'referrer-policy': 'no-referrer',
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'x-dns-prefetch-control': 'off',
      'x-download-options': 'noopen',
      'x-frame-options': 'SAMEORIGIN',
      'x-permitted-cross-domain-policies': 'none',
      'x-xss-protection': '0',
    })
    expect(headers.get('server')).toBeNull()
  }
  const page = await call(`${api.url}/docs/`, {})
  expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')])
  await api.stop()
})

test('each caller has a limit of requests per minute, and every response carries the remaining number', async () => {
  const api = await stack.start({ MEMBER_REQUESTS_PER_MINUTE: '3', SERVICE_REQUESTS_PER_MINUTE: '2' })
  const other = { authorization: `Bearer ${serviceToken({ claims: { sub: 'other' } })}` }
  expect(remaining(await api.send(hello))).toEqual([201, '2', '1'])
  expect(remaining(await api.post('/session/revoke', { memberId: 1 }))).toEqual([202, '2', '0'])
  const refused = await api.send(hello)
  expect(remaining(refused)).toEqual([429, '2', '0'])
  expect(refused.body).toMatchObject({ type: 'https://tidings.dev/problem/rate-limited', status: 429 })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(refused.headers.get('ratelimit-reset')).toBe(refused.headers.get('retry-after'))
  expect(remaining(await api.send(hello, other))).toEqual([201, '2', '1'])
  expect(remaining(await api.member(1).get('/notification'))).toEqual([200, '3', '2'])
  expect(remaining(await api.member(2).get('/notification'))).toEqual([200, '3', '2'])
  await api.stop()
})

test.concurrent('keys rotate by JWKS without a restart', async () => {
  const pairs = [0, 1].map(() => generateKeyPairSync('ed25519'))
  const jwks = (indexes: number[]) =>
    indexes.map((index) => ({ ...pairs[index]?.publicKey.export({ format: 'jwk' }), kid: `key-${index}` }))
  let keys = jwks([0])
  const issuer = createServer((_request, response) => response.end(JSON.stringify({ keys }))).listen(0, '127.0.0.1')
  await waitFor(() => issuer.listening, { what: 'the issuer' })
  const url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks.json`
  const api = await stack.start({ SERVICE_JWT_SECRET: '', SERVICE_JWKS_URL: url })
  const sendWith = (index: number) =>
    api.send(hello, { authorization: `Bearer ${signed(pairs[index]?.privateKey as KeyObject, `key-${index}`)}` })
  expect(await sendWith(0)).toMatchObject({ status: 201 })
  expect(await sendWith(1)).toMatchObject({ status: 401 })
  keys = jwks([1])
  await waitFor(async () => (await sendWith(1)).status === 201, { deadlineMs: 25_000, what: 'the new key to be accepted' })
  await waitFor(async () => (await sendWith(0)).status === 401, { deadlineMs: 25_000, what: 'the old key to be refused' })
  issuer.close()
  await api.stop()
}, 120_000)

function signed(key: KeyObject, kid: string): string {
  const signer = createSigner({ algorithm: 'EdDSA', key: key.export({ type: 'pkcs8', format: 'pem' }).toString(), kid })
  return signer({ sub: 'rotating', scope: 'notification:send', exp: Math.floor(Date.now() / 1_000) + 600 })
}

test.concurrent('a token of another algorithm is refused, and a verified one as soon as it expires', async () => {
  const api = await stack.start({ CLOCK_LEEWAY_SECONDS: '0' })
  const exp = Math.floor(Date.now() / 1_000) + 600
  const none = `${part({ alg: 'none', typ: 'JWT' })}.${part({ sub: 'x', scope: 'notification:send', exp })}.`
  expect(await api.send(hello, { authorization: `Bearer ${none}` })).toMatchObject({ status: 401 })
  const brief = { authorization: `Bearer ${serviceToken({ expiresInSeconds: 8 })}` }
  expect(await api.send(hello, brief)).toMatchObject({ status: 201 })
  await waitFor(async () => (await api.send(hello, brief)).status === 401, {
    deadlineMs: 20_000,
    what: 'the token to expire',
  })
  await api.stop()
})

test('the first response after the start reports online; a Redis that hangs does not delay the start', async () => {
  const early = await stack.start()
  expect((await early.send(hello)).body['online']).toBe(false)
  await early.stop()
  stack.redis.pause()
  const without = await stack.start({ PUBLISH_TIMEOUT_MS: '1000' })
  expect((await without.send(hello)).body['online']).toBeNull()
  stack.redis.resume()
  await without.stop()
})

test('no log line contains a token, a cookie or a message, also after errors', async () => {
  const lines: string[] = []
  const api = await stack.start({ LOG_LEVEL: 'trace', PUBLISH_TIMEOUT_MS: '1000' }, { onLine: (line) => lines.push(line) })
  const secret = 'the-secret-of-a-message'
  const body = { ...hello, message: secret, data: { secret } }
  await api.send(body)
  await api.send({ ...body, extra: secret })
  await api.post('/notification/send', `{"message":"${secret}"`)
  await api.member(1).get('/notification')
  await stack.rows('ALTER TABLE notification ADD CONSTRAINT no_member_99 CHECK (member_id <> 99)')
  expect(await api.send({ ...body, memberId: 99 })).toMatchObject({
    status: 422,
    body: { type: 'https://tidings.dev/problem/refused' },
  })
  await stack.rows('ALTER TABLE notification DROP CONSTRAINT no_member_99, RENAME COLUMN redirect_path TO elsewhere')
  expect(await api.send(body)).toMatchObject({ status: 500, body: { type: 'https://tidings.dev/problem/internal' } })
  await stack.rows('ALTER TABLE notification RENAME COLUMN elsewhere TO redirect_path')
  stack.redis.pause()
  expect(await api.send(body)).toMatchObject({ status: 201 })
  stack.redis.resume()
  await api.stop()
  const log = lines.join('\n')
  expect(log).toContain('request failed')
  expect(log).toContain('redis is away')
  expect(log).not.toContain(secret)
  expect(log).not.toMatch(/eyJ/)
  expect(log).not.toContain(memberToken(1).slice(0, 20))
})

test('a row that the database refuses does not fail other requests', async () => {
  const api = await stack.start()
  await stack.rows("ALTER TABLE notification ADD CONSTRAINT no_bad CHECK (message <> 'bad')")
  const messages = Array.from({ length: 60 }, (_, index) => (index % 20 === 7 ? 'bad' : `good ${index}`))
  const responses = await Promise.all(messages.map((message) => api.send({ ...hello, memberId: 77, message })))
  expect(responses.map(({ status }) => status)).toEqual(messages.map((message) => (message === 'bad' ? 422 : 201)))
  const stored = await stack.rows<{ message: string }>('SELECT message FROM notification WHERE member_id = 77')
  expect(stored.map(({ message }) => message).toSorted()).toEqual(messages.filter((message) => message !== 'bad').toSorted())
  await stack.rows('ALTER TABLE notification DROP CONSTRAINT no_bad')
  await api.stop()
})

test('SIGTERM under load: every accepted post is stored and published, and the exit code is 0', async () => {
  const api = await stack.start()
  const gateway = await stack.listen('member:88:notification')
  const accepted: number[] = []
  let refused = 0
  const senders = Array.from({ length: 16 }, async () => {
    for (;;) {
      const response = await api.send({ ...hello, memberId: 88 }).catch(() => undefined)
      if (response?.status === 201) accepted.push(response.body['notificationId'] as number)
      else if (++refused > 0) return
    }
  })
  await waitFor(() => accepted.length > 100, { deadlineMs: 20_000, what: 'a hundred posts' })
  expect(await api.stop()).toEqual({ code: 0, signal: null })
  await Promise.all(senders)
  const stored = await stack.rows<{ id: number }>('SELECT notification_id AS id FROM notification WHERE member_id = 88')
  const ids = new Set(stored.map(({ id }) => id))
  expect(accepted.filter((id) => !ids.has(id))).toEqual([])
  await waitFor(() => gateway.publications.length >= ids.size, { deadlineMs: 20_000, what: 'the publications' })
  expect(await stack.rows('SELECT outbox_id FROM outbox JOIN notification USING (notification_id) WHERE member_id = 88')).toEqual(
    [],
  )
})

/** Posts a notification on a kept connection of the agent. */
function postOn(agent: Agent, port: number): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' }
    const posting = request({ agent, host: '127.0.0.1', port, path: '/notification/send', method: 'POST', headers })
    posting.on('error', reject)
    posting.on('response', (response) => {
      textOf(response).then((body) => resolve({ status: response.statusCode, headers: response.headers, body }), reject)
    })
    posting.end(JSON.stringify({ ...hello, memberId: 89 }))
  })
}

const readiness = (api: NotifyApi) => call(`http://127.0.0.1:${api.opsPort}/ready`, {})

test('a rolling restart behind a client that prefers ready instances fails no request', async () => {
  const apis = await Promise.all([1, 2].map(() => stack.start({ SHUTDOWN_DELAY_SECONDS: '1' })))
  const agent = new Agent({ keepAlive: true })
  const counts = new Map<string, number>()
  let ready = apis.slice()
  const stop = new AbortController()
  const balancing = (async () => {
    while (!stop.signal.aborted) {
      const found = await Promise.all(
        apis.map((api) =>
          readiness(api).then(
            ({ status }) => status === 200,
            () => false,
          ),
        ),
      )
      ready = apis.filter((_, index) => found[index])
    }
  })()
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let turn = client; !stop.signal.aborted; turn++) {
      const { port } = (ready[turn % ready.length] ?? apis[0]) as NotifyApi
      const outcome = await postOn(agent, port).then(
        ({ status }) => String(status),
        (error: Error) => error.message,
      )
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    }
  })
  for (const index of [0, 1]) {
    const before = counts.get('201') ?? 0
    await waitFor(() => (counts.get('201') ?? 0) > before + 50, { deadlineMs: 20_000, what: 'posts' })
    const old = apis[index] as NotifyApi
    expect(await old.stop()).toEqual({ code: 0, signal: null })
    const next = await old.again()
    apis[index] = next
    await waitFor(() => ready.includes(next), { deadlineMs: 20_000, what: 'the new instance to be ready' })
  }
  stop.abort()
  await Promise.all([balancing, ...clients])
  expect([...counts.keys()]).toEqual(['201'])
  agent.destroy()
  await Promise.all(apis.map((api) => api.stop()))
}, 60_000)

test('a stopping instance is not ready, serves on, asks clients to close, and does not wait for silent ones', async () => {
  const api = await stack.start({ SHUTDOWN_DELAY_SECONDS: '1' })
  await waitFor(async () => (await readiness(api)).status === 200, { what: 'readiness' })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  expect((await postOn(agent, api.port)).headers.connection).toBe('keep-alive')
  const silent = connect(api.port, '127.0.0.1')
  await waitFor(() => !silent.connecting, { what: 'a connection without a request' })
  const unlock = await stack.lockTable('notification')
  const posting = postOn(agent, api.port)
  await waitFor(
    async () =>
      (await stack.rows("SELECT 1 FROM information_schema.processlist WHERE state LIKE '%metadata lock%' AND db = DATABASE()"))
        .length > 0,
    { what: 'a post to wait for the lock' },
  )
  const ended = api.stop()
  const draining = await waitFor(async () => [await readiness(api)].find(({ status }) => status === 503), { what: '503' })
  expect(draining.body).toEqual({ ready: false, failing: ['draining'] })
  expect(await api.ops('/live')).toBe('{"live":true}')
  await unlock()
  // Accepted before the signal, and after it.
  for (const { status, headers } of [await posting, await postOn(agent, api.port)]) {
    expect([status, headers.connection]).toEqual([201, 'close'])
  }
  expect(await ended).toEqual({ code: 0, signal: null })
  expect(api.logs.at(-1)).toContain('"stopped"')
  agent.destroy()
  silent.destroy()
})

test('/live is 200 before MySQL is there; an outage of MySQL costs one log line for each call, and refused requests none', async () => {
  const { port } = new URL(stack.databaseUrl)
  const relay = await openRelay(Number(port))
  relay.target = undefined
  const database = new URL(stack.databaseUrl)
  database.port = String(relay.port)
  const opsPort = await freePort()
  const lines: string[] = []
  const starting = stack.start({ MYSQL_URL: database.href, OPS_PORT: String(opsPort) }, { onLine: (line) => lines.push(line) })
  const ops = (path: string) => call(`http://127.0.0.1:${opsPort}${path}`, {})
  await waitFor(async () => (await ops('/live')).status === 200, { deadlineMs: 20_000, what: '/live' })
  expect(await ops('/ready')).toMatchObject({ status: 503, body: { ready: false, failing: ['mysql'] } })
  relay.target = Number(port)
  const api = await starting
  await waitFor(async () => (await ops('/ready')).status === 200, { deadlineMs: 20_000, what: 'readiness' })
  expect(await api.send(hello)).toMatchObject({ status: 201 })

  const before = lines.length
  relay.target = undefined
  await waitFor(async () => (await api.send(hello)).status === 503, { what: 'posts to fail' })
  for (let count = 0; count < 30; count++) expect(await api.send(hello)).toMatchObject({ status: 503 })
  for (let count = 0; count < 30; count++) expect(await api.send({})).toMatchObject({ status: 400 })
  for (let count = 0; count < 30; count++) expect(await api.send(hello, { authorization: 'x' })).toMatchObject({ status: 401 })
  const failures = lines.slice(before).filter((line) => line.includes('"request failed"'))
  expect(failures.map((line) => JSON.parse(line))).toMatchObject([
    { method: 'POST', call: '/notification/send', status: 503, problem: 'unavailable', requestId: expect.any(String) },
  ])
  expect(lines.join('\n')).not.toContain('"request refused"')
  expect(lines.length - before).toBeLessThan(10)
  expect(await api.ops('/metrics')).toMatch(/http_request_seconds_count\{call="\/notification\/send",status="503"\} [3-9]\d/)
  relay.target = Number(port)
  await api.stop()
  relay.close()
})

test('a start with invalid settings fails and lists every error, without values', async () => {
  const started = startService('notify-api', {
    MYSQL_URL: 'postgres://secret@x',
    PORT: '99999',
    RETENTION_DAYS: '0',
    ALLOWED_ORIGINS: 'ftp://x',
    MEMBER_JWT_SECRET: 'short',
    SERVICE_JWT_SECRET: '',
  })
  const error = await started.then(
    () => new Error('it started'),
    (reason: Error) => reason,
  )
  for (const variable of ['MYSQL_URL', 'PORT', 'RETENTION_DAYS', 'ALLOWED_ORIGINS', 'MEMBER_JWT_SECRET'])
    expect(error.message).toContain(variable)
  expect(error.message).not.toMatch(/postgres|99999|short|ftp/)
})

test('an Origin pattern allows the hosts below it', async () => {
  const api = await stack.start({ ALLOWED_ORIGINS: 'https://*.example.com' })
  const from = (origin: string) =>
    call(`${api.url}/notification/read-all`, {
      method: 'POST',
      headers: { origin, cookie: `access_token=${memberToken(1)}`, 'content-type': 'application/json' },
      body: '{"upTo":1}',
    })
  expect(await from('https://app.example.com')).toMatchObject({ status: 200 })
  for (const origin of ['https://example.com', 'http://app.example.com', 'https://app.example.com.evil.example', localOrigin]) {
    expect(await from(origin)).toMatchObject({ status: 403 })
  }
  await api.stop()
})
