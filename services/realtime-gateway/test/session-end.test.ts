import { memberToken, openRawSession, type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import type { MemberId } from '@tidings/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  expectNothingElse,
  type GatewayStack,
  nextMessage,
  openSession,
  startGatewayStack,
  subscribe,
} from './fixture/gateway.ts'

let stack: GatewayStack
let gateways: ServiceProcess[]

beforeAll(async () => {
  stack = await startGatewayStack()
  gateways = await Promise.all([stack.startGateway(), stack.startGateway()])
})
afterAll(() => stack.close())

/** A control message that revokes the tokens of a member issued until now. */
function revoke(memberId: MemberId): string {
  const issuedBefore = Math.floor(Date.now() / 1_000) + 1
  return JSON.stringify({ type: 'revoke', memberId, tokenHash: '', issuedBefore, expiresAt: issuedBefore + 3_600 })
}
const publishRevoke = (memberId: MemberId) => stack.publisher.publish('gateway:control', revoke(memberId))

async function expectClosed(session: RawSession, code: number, message: string): Promise<void> {
  const error = await session.nextFrame(20_000)
  expect([error.command, error.headers.get('message')]).toEqual(['ERROR', message])
  expect((await session.closed()).code).toBe(code)
}

test('sends expiring to a client that subscribes after the warning was due', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const session = await openSession(gateway, { token: memberToken(1, { expiresInSeconds: 50 }) })
  // Subscribe only after the gateway has swept its sessions twice.
  const openedAt = performance.now()
  await waitFor(() => performance.now() - openedAt > 1_100, { what: 'two sweeps', deadlineMs: 20_000 })
  await subscribe(session, '0', '/member/queue/session')
  expect(JSON.parse((await nextMessage(session)).body)).toMatchObject({ type: 'expiring' })
})

test.each<[MemberId, MemberId]>([
  [2, 3],
  ['auth0|a1', 'Auth0|a1'],
  [7, '007'],
])('closes all sessions of revoked member %s on every gateway, and none of %s', async (revoked, other) => {
  const mine = await Promise.all([...gateways, ...gateways].map((gateway) => openSession(gateway, { memberId: revoked })))
  const theirs = await Promise.all(gateways.map((gateway) => openSession(gateway, { memberId: other })))
  await publishRevoke(revoked)
  for (const session of mine) await expectClosed(session, 4401, 'the session was revoked')
  for (const session of theirs) await expectNothingElse(session)
})

test('closes a session of a revoked member that has not sent CONNECT yet', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const session = (await openRawSession(gateway.url, { token: memberToken(4) })) as RawSession
  await publishRevoke(4)
  await expectClosed(session, 4401, 'the session was revoked')
})

test('ignores malformed control messages', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const session = await openSession(gateway, { memberId: 5 })
  for (const malformed of ['', '{', '{"type":"revoke"}', '{"type":"explode","memberId":5}'])
    await stack.publisher.publish('gateway:control', malformed)
  await stack.publisher.publishRaw('gateway:control', 'plain')
  await publishRevoke(1_234)
  await expectNothingElse(session)
})

test('applies a revoke that was published while the gateway was disconnected from Redis', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const session = await openSession(gateway, { memberId: 6 })
  await stack.publisher.appendToHistory('gateway:control', revoke(6))
  await expectNothingElse(session)
  const list = String(await stack.publisher.redis.client('LIST'))
  for (const line of list.split('\n').filter((each) => each.includes('name=realtime-gateway:subscriber'))) {
    await stack.publisher.redis.client('KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '')
  }
  await expectClosed(session, 4401, 'the session was revoked')
})

test('logs lost control messages when Redis restarts without data, also when its control channel was empty', async () => {
  const fresh = await startGatewayStack()
  try {
    const gateway = await fresh.startGateway()
    await fresh.redis.restart()
    await waitFor(() => gateway.logs.some((line) => line.includes('redis connection lost')), {
      what: 'the gateway to lose its Redis connection',
      deadlineMs: 20_000,
    })
    // The second time: the first is from the start.
    const restored = () => gateway.logs.filter((line) => line.includes('redis subscriptions are up')).length > 1
    await waitFor(restored, { what: 'the gateway to subscribe again', deadlineMs: 20_000 })
    // A message may have been published and lost in between.
    await waitFor(() => gateway.logs.some((line) => line.includes('control messages to the gateways were lost')), {
      what: 'the loss to be logged',
      deadlineMs: 20_000,
    })
  } finally {
    await fresh.close()
  }
})

test('logs one line for a session that ends, without the token and the messages', async () => {
  const lines: string[] = []
  const gateway = await stack.startGateway({}, { onLine: (line) => lines.push(line) })
  const token = memberToken(10)
  const session = await openSession(gateway, { token })
  await subscribe(session, '0', '/topic/secret')
  await stack.publisher.publish('broadcast:secret', '"confidential"')
  await nextMessage(session)
  const before = lines.length
  await session.leaves()
  await waitFor(() => lines.length > before, { what: 'the log line', deadlineMs: 20_000 })
  expect(lines.slice(before).map((line) => JSON.parse(line) as object)).toMatchObject([
    { memberId: 10, code: 1000, msg: 'session closed' },
  ])
  for (const secret of ['confidential', token, token.split('.')[2] ?? '']) expect(lines.join('\n')).not.toContain(secret)
})

test.concurrent('sends expiring before the token expires, and closes the session with 4401 when it does', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const token = memberToken(1, { expiresInSeconds: 8 })
  const session = await openSession(gateway, { token })
  await subscribe(session, '0', '/member/queue/session')
  const warning = await nextMessage(session)
  const { type, expiresAt } = JSON.parse(warning.body) as { type: string; expiresAt: number }
  expect([type, warning.headers.get('destination')]).toEqual(['expiring', '/member/queue/session'])
  await expectClosed(session, 4401, 'the token has expired')
  expect(Date.now() - expiresAt * 1_000).toBeGreaterThanOrEqual(0)
  // Within the period of the sweep, plus a margin for a busy machine.
  expect(Date.now() - expiresAt * 1_000).toBeLessThan(6_000)
})

test.concurrent('rotates old sessions: sends draining with a delay, and closes them with 1012', async () => {
  const rotating = await stack.startGateway({ SESSION_MAX_AGE_SECONDS: '8' })
  const sessions = await Promise.all([7, 8, 9].map((memberId) => openSession(rotating, { memberId })))
  for (const session of sessions) await subscribe(session, '0', '/member/queue/session')
  for (const session of sessions) {
    const { type, reconnectAfterMs } = JSON.parse((await nextMessage(session, 20_000)).body) as {
      type: string
      reconnectAfterMs: number
    }
    expect(type).toBe('draining')
    expect(reconnectAfterMs).toBeGreaterThanOrEqual(0)
    expect(reconnectAfterMs).toBeLessThanOrEqual(1_000)
    expect(await session.closed()).toEqual({ code: 1012, reason: `reconnect after ${reconnectAfterMs} ms` })
  }
})

test.concurrent.each([
  { heartBeatMs: 2_000, stallMs: 8_000 },
  { heartBeatMs: 1_000, stallMs: 4_200 },
])(
  'closes no session for silence during a stall of the gateway itself: $stallMs ms',
  { timeout: 60_000 },
  async ({ heartBeatMs, stallMs }) => {
    const gateway = await stack.startGateway({ HEART_BEAT_MS: String(heartBeatMs) })
    const session = await openSession(gateway, { memberId: 11 })
    const beats = setInterval(() => session.sends('\n'), 500)
    gateway.pause()
    const stoppedAt = performance.now()
    await waitFor(() => performance.now() - stoppedAt > stallMs, {
      what: 'more than three heart-beat periods to pass',
      deadlineMs: 20_000,
    })
    gateway.resume()
    await expectNothingElse(session)
    const resumedAt = performance.now()
    await waitFor(() => performance.now() - resumedAt > 1_500, { what: 'some sweeps to pass', deadlineMs: 20_000 })
    await expectNothingElse(session)
    clearInterval(beats)
  },
)
