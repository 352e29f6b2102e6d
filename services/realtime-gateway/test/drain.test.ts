import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { memberToken, openRawSession, type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import {
  fetchOps,
  type GatewayStack,
  nextMessage,
  numberStrings,
  openSession,
  sendFrame,
  startGatewayStack,
  subscribe,
} from './fixture/gateway.ts'

let stack: GatewayStack

beforeAll(async () => {
  stack = await startGatewayStack()
})
afterAll(() => stack.close())

const members = 1_000
const drainMs = 5_000
const queue = '/member/queue/notification'

/** A client that reconnects to another gateway and resumes there when its own gateway drains. */
class ReconnectingClient {
  readonly received: string[] = []
  /** Number of RECEIPTs with `recovered:true`. */
  recovered = 0
  failure: unknown = undefined
  readonly memberId: number
  #position = ''

  constructor(memberId: number) {
    this.memberId = memberId
  }

  async open(gateway: ServiceProcess, nextGateway?: ServiceProcess): Promise<void> {
    const session = await openSession(gateway, { memberId: this.memberId })
    await subscribe(session, 'session', '/member/queue/session')
    const receipt = await subscribe(session, '0', queue, this.#position ? { 'last-message-id': this.#position } : {})
    if (receipt.headers.get('recovered') === 'true') this.recovered++
    this.#position = receipt.headers.get('position') ?? ''
    this.#readMessages(session, nextGateway).catch((error: unknown) => (this.failure = error))
  }

  /** Tries several times: on a busy machine a connection may fail. */
  async #reconnect(gateway: ServiceProcess): Promise<void> {
    for (let attempt = 1; attempt < 10; attempt++) {
      try {
        return await this.open(gateway)
      } catch {
        await delay(100)
      }
    }
    throw new Error('could not reconnect')
  }

  async #readMessages(session: RawSession, nextGateway: ServiceProcess | undefined): Promise<void> {
    for (;;) {
      const { headers, body } = await nextMessage(session, 120_000)
      if (headers.get('subscription') === '0') {
        this.#position = headers.get('message-id') ?? ''
        this.received.push(body)
        continue
      }
      const { type, reconnectAfterMs } = JSON.parse(body) as { type: string; reconnectAfterMs: number }
      if (type !== 'draining' || !nextGateway) throw new Error(body)
      const { code } = await session.closed(60_000)
      if (code !== 1012) throw new Error(`closed with ${code}`)
      await delay(reconnectAfterMs)
      return this.#reconnect(nextGateway)
    }
  }
}

test('moves 1,000 sessions to the other gateway without a lost or repeated publication', { timeout: 300_000 }, async () => {
  /** Times of the log lines of the draining gateway, by message. */
  const loggedAt = new Map<string, number[]>()
  const onLine = (line: string) => {
    const { msg, time } = JSON.parse(line) as { msg: string; time: number }
    loggedAt.set(msg, [...(loggedAt.get(msg) ?? []), time])
  }
  const [drained, remaining] = await Promise.all([
    stack.startGateway({ DRAIN_SECONDS: String(drainMs / 1_000) }, { onLine }),
    stack.startGateway(),
  ])
  const clients = numberStrings(1, members).map((memberId) => new ReconnectingClient(Number(memberId)))
  for (let from = 0; from < members; from += 50) {
    await Promise.all(clients.slice(from, from + 50).map((client) => client.open(drained, remaining)))
  }
  let rounds = 0
  const publishing = { on: true }
  const publisher = (async () => {
    while (publishing.on) {
      rounds++
      for (let from = 0; from < members; from += 100) {
        const some = clients.slice(from, from + 100)
        await Promise.all(
          some.map(({ memberId }) => stack.publisher.publish(`member:${memberId}:notification`, String(rounds), 1_000)),
        )
      }
      await delay(100) // a steady load below what the machine can do
    }
  })()
  await waitFor(() => rounds > 2, { what: 'three rounds of publications', deadlineMs: 20_000 })
  void drained.kill('SIGTERM')
  expect(await drained.exited).toEqual({ code: 0, signal: null })
  // Counted in the clients: a failed attempt may have left an open socket, which the gateway's metric would count.
  const reconnected = () => clients.every(({ recovered, failure }) => recovered > 0 || failure !== undefined)
  await waitFor(reconnected, { what: 'every client to have reconnected', deadlineMs: 120_000 })
  publishing.on = false
  await publisher
  const all = numberStrings(1, rounds)
  expect(clients.filter(({ failure }) => failure !== undefined).map(({ failure }) => failure)).toEqual([])
  await waitFor(() => clients.every(({ received }) => received.length >= rounds), {
    what: 'the last publication',
    deadlineMs: 60_000,
  })
  for (const { received } of clients) expect(received).toEqual(all)
  expect(clients.every(({ recovered }) => recovered === 1)).toBe(true)
  // The closes are spread evenly, by the clock of the gateway: none before its turn, and few at a time. A busy machine delays some.
  const stopping = loggedAt.get('stopping')?.[0] ?? 0
  const closes = loggedAt.get('session closed')?.map((time) => time - stopping) ?? []
  expect(closes).toHaveLength(members)
  const early = closes.filter((ms, index) => ms < (index * drainMs) / members - 100)
  expect(early).toEqual([])
  expect(new Set(closes.map((ms) => Math.floor(ms / 100))).size).toBeGreaterThan(10)
})

test('exits at once when it has no sessions', async () => {
  const gateway = await stack.startGateway({ DRAIN_SECONDS: '60' })
  expect(await gateway.stop(20_000)).toEqual({ code: 0, signal: null })
})

test('responds with 503 to requests that it has received when it stops, and then closes their connections', async () => {
  const issuer = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void issuer.close())
  await once(issuer, 'listening')
  const jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`
  const gateway = await stack.startGateway({ MEMBER_JWT_SECRET: undefined, MEMBER_JWKS_URL: jwksUrl })
  const requested = once(issuer, 'request') as Promise<[IncomingMessage, ServerResponse]>
  // A token of a key that is not known: its handshake waits for the issuer.
  const token = [{ alg: 'RS256', kid: 'k1' }, {}, {}]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const waiting = openRawSession(gateway.url, { token })
  const [, keys] = await requested
  // Another request, half of which has arrived.
  const kept = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  await once(kept, 'connect')
  kept.write('GET /ws HTTP/1.1\r\nHost: gateway\r\n')
  void gateway.kill('SIGTERM')
  await waitFor(async () => (await fetchOps(gateway, '/ready')).text.includes('draining'), {
    what: 'the drain',
    deadlineMs: 20_000,
  })
  kept.write('\r\n')
  keys.end('{"keys":[]}')
  const [response, refused] = await Promise.all([text(kept), waiting])
  expect(response).toMatch(/^HTTP\/1.1 503 /)
  for (const header of ['content-type: application/problem+json; charset=utf-8', 'retry-after: 1', 'connection: close']) {
    expect(response).toContain(`\r\n${header}\r\n`)
  }
  expect(refused).toMatchObject({
    status: 503,
    headers: { 'retry-after': '1', 'content-type': expect.stringContaining('problem+json') },
  })
  expect(await gateway.exited).toEqual({ code: 0, signal: null })
})

test('exits although a client does not respond to the close frame', async () => {
  const gateway = await stack.startGateway({ DRAIN_SECONDS: '1' })
  const session = await openSession(gateway)
  session.socket.pause()
  expect(await gateway.stop(20_000)).toEqual({ code: 0, signal: null })
})

test('closes sessions whose handshake completes while the drain begins', async () => {
  const gateway = await stack.startGateway({ DRAIN_SECONDS: '1' })
  await openSession(gateway)
  const connecting = { on: true }
  const attempts: Promise<unknown>[] = []
  const clients = (async () => {
    while (connecting.on) {
      const attempt = openRawSession(gateway.url, { token: memberToken(2) }).catch(() => undefined)
      attempts.push(attempt)
      await new Promise(setImmediate)
      if (attempts.length % 50 === 0) await attempt
    }
  })()
  await waitFor(() => attempts.length > 20, { what: '20 connection attempts', deadlineMs: 20_000 })
  const exit = await gateway.stop(20_000)
  connecting.on = false
  await clients
  await Promise.all(attempts)
  expect(exit).toEqual({ code: 0, signal: null })
})

test('exits without waiting for the sessions at a second signal', async () => {
  const gateway = await stack.startGateway({ DRAIN_SECONDS: '600' })
  const sessions = await Promise.all(numberStrings(1, 20).map((memberId) => openSession(gateway, { memberId: Number(memberId) })))
  void gateway.kill('SIGTERM')
  await Promise.race(sessions.map((session) => session.closed()))
  void gateway.kill('SIGTERM')
  await gateway.exited
})

test('closes a session whose SUBSCRIBE waits for Redis with 1012', async () => {
  const gateway = await stack.startGateway({ DRAIN_SECONDS: '1' })
  const session = await openSession(gateway)
  stack.redis.pause()
  try {
    sendFrame(session, 'SUBSCRIBE', { id: '0', destination: '/topic/waiting', receipt: 'r' })
    expect(await gateway.stop(20_000)).toEqual({ code: 0, signal: null })
    expect((await session.closed()).code).toBe(1012)
  } finally {
    stack.redis.resume()
  }
})
