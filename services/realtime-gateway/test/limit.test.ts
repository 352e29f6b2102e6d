import { connect, createServer, type Socket } from 'node:net'
import { memberToken, openRawSession, type RawSession, type RefusedUpgrade, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  expectNothingElse,
  fetchOps,
  type GatewayStack,
  nextMessage,
  openSession,
  readMetric,
  sendFrame,
  startGatewayStack,
  subscribe,
} from './fixture/gateway.ts'

let stack: GatewayStack
let gateway: ServiceProcess
/** Has a short heart-beat and small buffers, both large enough for a machine that stalls for a few seconds. */
let shortHeartBeat: ServiceProcess
let shortConnectTimeout: ServiceProcess
let memberId = 0

beforeAll(async () => {
  stack = await startGatewayStack()
  ;[gateway, shortHeartBeat, shortConnectTimeout] = await Promise.all([
    stack.startGateway({ MAX_SESSIONS_PER_MEMBER: '3', MAX_FRAMES_PER_SECOND: '20' }),
    stack.startGateway({ HEART_BEAT_MS: '2000', MAX_BUFFERED_BYTES: '200000', MAX_BUFFERED_MS: '3000' }),
    stack.startGateway({ CONNECT_TIMEOUT_MS: '1500' }),
  ])
})
afterAll(() => stack.close())

const openSessionOfNewMember = (options = {}) => openSession(gateway, { memberId: ++memberId, ...options })

/** Skips frames up to the ERROR, and checks its message and the close code. */
async function expectError(session: RawSession, code: number, message: string, deadlineMs = 20_000): Promise<void> {
  let frame = await session.nextFrame(deadlineMs)
  while (frame.command !== 'ERROR') frame = await session.nextFrame(deadlineMs)
  expect(frame.headers.get('message')).toContain(message)
  expect((await session.closed()).code).toBe(code)
}

test.each([
  ['a frame over MAX_FRAME_BYTES', `SEND\ndestination:/x\ncontent-length:70000\n\n`, 'MAX_FRAME_BYTES'],
  ['a body without a terminating NUL', `SEND\ndestination:/x\n\n${'x'.repeat(70_000)}`, 'MAX_FRAME_BYTES'],
  ['a header line over MAX_HEADER_BYTES', `SEND\n${'x'.repeat(5_000)}`, 'MAX_HEADER_BYTES'],
  ['more than MAX_HEADERS', `SEND\n${'a:b\n'.repeat(65)}`, 'MAX_HEADERS'],
  ['a content-length of 20 digits', `SEND\ncontent-length:99999999999999999999\n\n`, 'MAX_FRAME_BYTES'],
])('closes with 4400: %s', async (_, bytes, message) => {
  const session = await openSessionOfNewMember()
  session.sends(bytes)
  await expectError(session, 4400, message)
})

function sendBeginAndAbort(session: RawSession, times: number): void {
  for (let sent = 0; sent < times; sent++) {
    sendFrame(session, 'BEGIN', { transaction: 't' })
    sendFrame(session, 'ABORT', { transaction: 't' })
  }
}

test('closes with 4429 at more frames, or WebSocket messages, a second than MAX_FRAMES_PER_SECOND', async () => {
  const session = await openSessionOfNewMember()
  session.sends('BEGIN\ntransaction:t\n\n\0ABORT\ntransaction:t\n\n\0'.repeat(60))
  await expectError(session, 4429, 'more than 20 frames a second')
  const fragments = await openSessionOfNewMember()
  for (const octet of 'SUBSCRIBE\n'.repeat(500)) fragments.sends(octet === '\n' ? ' ' : octet)
  await expectError(fragments, 4429, 'more than 20 frames a second')
  expect(await readMetric(gateway, 'closes_total{code="4429"}')).toBe(2)
})

test('accepts a burst within the sustained rate', async () => {
  const session = await openSessionOfNewMember()
  sendBeginAndAbort(session, 15)
  await expectNothingElse(session)
})

test('closes the oldest session of a member with 4409 at more than MAX_SESSIONS_PER_MEMBER', async () => {
  memberId++
  const sessions = await Promise.all([1, 2, 3].map(() => openSession(gateway, { memberId })))
  const [oldest] = (
    JSON.parse((await fetchOps(gateway, `/session?memberId=${memberId}`)).text) as { sessions: { sessionId: string }[] }
  ).sessions
  await openSession(gateway, { memberId })
  const codes = await Promise.race(sessions.map(async (session) => (await session.closed()).code))
  expect(codes).toBe(4409)
  const { sessions: remaining } = JSON.parse((await fetchOps(gateway, `/session?memberId=${memberId}`)).text) as {
    sessions: { sessionId: string }[]
  }
  expect([remaining.length, remaining.some(({ sessionId }) => sessionId === oldest?.sessionId)]).toEqual([3, false])
})

test('refuses the third displacement of a member within a minute with 429, and leaves the open sessions alone', async () => {
  memberId++
  const sessions: RawSession[] = []
  for (let opened = 0; opened < 5; opened++) sessions.push(await openSession(gateway, { memberId }))
  // The fourth displaces the first, and the fifth the second.
  for (const session of sessions.slice(0, 2)) await expectError(session, 4409, 'more than 3 sessions')
  const refusedBefore = await readMetric(gateway, 'refused_upgrades_total{status="429"}')
  for (let refused = 0; refused < 4; refused++) {
    const refusal = (await openRawSession(gateway.url, { token: memberToken(memberId) })) as RefusedUpgrade
    expect([refusal.status, refusal.headers['content-type']]).toEqual([429, 'application/problem+json; charset=utf-8'])
    expect(JSON.parse(refusal.body)).toEqual({
      type: 'about:blank',
      title: 'Too Many Requests',
      status: 429,
      detail: 'too many sessions of this member were displaced within a minute (MAX_SESSIONS_PER_MEMBER)',
      requestId: expect.any(String),
    })
    expect(refusal.headers['retry-after']).toMatch(/^\d+$/)
    expect(Number(refusal.headers['retry-after'])).toBeGreaterThan(30)
    expect(Number(refusal.headers['retry-after'])).toBeLessThanOrEqual(60)
  }
  expect(await readMetric(gateway, 'refused_upgrades_total{status="429"}')).toBe(refusedBefore + 4)
  for (const session of sessions.slice(2)) await expectNothingElse(session)
  // The others are not affected, and neither is the member once there is room.
  await expectNothingElse(await openSession(gateway, { memberId: ++memberId }))
  await sessions[4]?.leaves()
  await waitFor(() => openSession(gateway, { memberId: memberId - 1 }), { what: 'the next session', deadlineMs: 20_000 })
})

test('counts sockets that have not sent CONNECT towards MAX_SESSIONS_PER_MEMBER', async () => {
  memberId++
  const silent = await Promise.all([1, 2, 3].map(() => openRawSession(gateway.url, { token: memberToken(memberId) })))
  await openSession(gateway, { memberId })
  await Promise.race((silent as RawSession[]).map((session) => expectError(session, 4409, 'more than 3 sessions')))
})

test.concurrent('closes with 4408 when CONNECT does not arrive within CONNECT_TIMEOUT_MS', async () => {
  const session = (await openRawSession(shortConnectTimeout.url, { token: memberToken(1) })) as RawSession
  session.sends('CONNECT\n')
  await expectError(session, 4408, 'no CONNECT within 1500 ms (CONNECT_TIMEOUT_MS)')
})

/** Resolves to the median of five periods between heart-beats, in ms. The median, as a busy machine delays one or two. */
async function medianHeartBeatMs(session: RawSession): Promise<number> {
  const at: number[] = []
  session.socket.on('message', (data: Buffer) => data.toString() === '\n' && at.push(performance.now()))
  await waitFor(() => at.length >= 6, { what: 'six heart-beats', deadlineMs: 30_000 })
  const periods = at.slice(1).map((each, index) => each - (at[index] ?? 0))
  return periods.toSorted((a, b) => a - b)[Math.floor(periods.length / 2)] ?? 0
}

test.concurrent('sends heart-beats at the agreed period', { timeout: 60_000 }, async () => {
  const session = await openSession(shortHeartBeat, { memberId: 10, heartBeat: '2000,2000' })
  const timer = setInterval(() => session.sends('\n'), 1_000)
  expect(await medianHeartBeatMs(session)).toBeLessThan(2_600)
  clearInterval(timer)
})

test.concurrent('pings a client that is late with its heart-beats, and keeps it open while it responds to the pings', {
  timeout: 90_000,
}, async () => {
  const session = await openSession(shortHeartBeat, { memberId: 19, heartBeat: '2000,2000' })
  let pings = 0
  session.socket.on('ping', () => pings++)
  // Each ping comes after two silent periods: the third proves that three silent periods in a row did not end the session.
  await waitFor(() => pings >= 3, { what: 'three pings', deadlineMs: 40_000 })
  await expectNothingElse(session)
})

test.concurrent('sends pings instead of heart-beats to a silent client that wants none, and no pings to a client that sends', {
  timeout: 60_000,
}, async () => {
  const session = await openSession(shortHeartBeat, { memberId: 11, heartBeat: '0,0' })
  const sending = await openSession(shortHeartBeat, { memberId: 18, heartBeat: '0,0' })
  const timer = setInterval(() => sending.sends('\n'), 500)
  let pings = 0
  session.socket.on('ping', () => pings++)
  let pingsToSending = 0
  sending.socket.on('ping', () => pingsToSending++)
  await waitFor(() => pings >= 2, { what: 'two pings', deadlineMs: 30_000 })
  clearInterval(timer)
  expect(pingsToSending).toBe(0)
  expect(session.received.filter((each) => each === '\n')).toEqual([])
  await expectNothingElse(session)
})

test.concurrent('sends heart-beats to a client that wants them and sends none itself', { timeout: 60_000 }, async () => {
  const session = await openSession(shortHeartBeat, { memberId: 12, heartBeat: '0,2000' })
  expect(await medianHeartBeatMs(session)).toBeLessThan(2_600)
})

test.concurrent.each([
  { agreed: 'no heart-beats', heartBeat: '0,0', memberId: 13 },
  { agreed: 'heart-beats', heartBeat: '2000,2000', memberId: 20 },
])('closes a client with 4408 that responds to no ping, where $agreed were agreed', async ({ heartBeat, memberId: silent }) => {
  const session = await openSession(shortHeartBeat, { memberId: silent, heartBeat })
  session.socket.pause()
  await waitFor(
    async () => JSON.parse((await fetchOps(shortHeartBeat, `/session?memberId=${silent}`)).text).sessions.length === 0,
    { what: 'the silent session to end', deadlineMs: 20_000 },
  )
  session.socket.resume()
  await expectError(session, 4408, 'silent for 3 heart-beat periods of 2000 ms')
})

/** Returns the close code and the Unix time in ms of the "session closed" log line of a member, or undefined before it. */
function loggedClose(member: number): { code: number; time: number } | undefined {
  const line = shortHeartBeat.logs.find((each) => each.includes('session closed') && each.includes(`"memberId":${member},`))
  return line ? (JSON.parse(line) as { code: number; time: number }) : undefined
}

/** Starts a TCP proxy that stops reading from the gateway on `pause`, so that unsent bytes wait in the memory of the gateway. */
async function startPausableProxy(
  target: ServiceProcess,
): Promise<{ url: string; pause(): void; resume(): void; close(): void }> {
  const pairs: [Socket, Socket][] = []
  const server = createServer((client) => {
    const upstream = connect(target.port, '127.0.0.1')
    upstream.pipe(client)
    client.pipe(upstream)
    upstream.on('error', () => client.destroy())
    client.on('error', () => upstream.destroy())
    pairs.push([client, upstream])
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    pause: () => {
      for (const [client, upstream] of pairs) {
        upstream.unpipe(client)
        upstream.pause()
      }
    },
    resume: () => {
      for (const [client, upstream] of pairs) upstream.pipe(client)
    },
    close: () => {
      server.close()
      for (const pair of pairs) for (const socket of pair) socket.destroy()
    },
  }
}

test.concurrent('closes with 4508 at once when more than MAX_BUFFERED_BYTES are unread', { timeout: 60_000 }, async () => {
  const proxy = await startPausableProxy(shortHeartBeat)
  const session = await openSession(proxy, { memberId: 14 })
  await subscribe(session, '0', '/topic/heavy')
  proxy.pause()
  const beats = setInterval(() => session.sends('\n'), 500)
  const body = 'x'.repeat(60_000)
  await waitFor(
    async () => {
      await stack.publisher.publish('broadcast:heavy', body)
      return loggedClose(14)
    },
    { what: 'the slow session to be closed', deadlineMs: 25_000 },
  )
  expect(loggedClose(14)?.code).toBe(4508)
  clearInterval(beats)
  proxy.close()
})

test.concurrent('closes with 4508 when bytes are unread for MAX_BUFFERED_MS, without another publication', {
  timeout: 60_000,
}, async () => {
  const proxy = await startPausableProxy(shortHeartBeat)
  const session = await openSession(proxy, { memberId: 15 })
  await subscribe(session, '0', '/topic/stuck')
  const reading = await openSession(shortHeartBeat, { memberId: 17 })
  await subscribe(reading, '0', '/topic/stuck')
  proxy.pause()
  const beats = setInterval(() => session.sends('\n'), 500)
  const buffered = async () =>
    (JSON.parse((await fetchOps(shortHeartBeat, '/session?memberId=15')).text) as { sessions: { bufferedBytes: number }[] })
      .sessions[0]?.bufferedBytes ?? 0
  const body = 'x'.repeat(50_000)
  /** Unix time in ms at which nothing was unread yet. */
  let unbufferedAt = 0
  await waitFor(
    async () => {
      unbufferedAt = Date.now()
      await stack.publisher.publish('broadcast:stuck', body)
      // The gateway sends each publication to both sessions: once this one has it, the other has been sent it as well.
      await nextMessage(reading)
      return (await buffered()) > 0
    },
    { what: 'bytes to be buffered in the gateway', deadlineMs: 20_000 },
  )
  const end = await waitFor(() => loggedClose(15), { what: 'the stuck session to be closed', deadlineMs: 20_000 })
  expect(end.code).toBe(4508)
  expect(end.time - unbufferedAt).toBeGreaterThan(2_900)
  expect(end.time - unbufferedAt).toBeLessThan(10_000)
  clearInterval(beats)
  proxy.close()
})

test.concurrent('delivers everything to a reader that is slow for a moment', async () => {
  const proxy = await startPausableProxy(shortHeartBeat)
  const session = await openSession(proxy, { memberId: 16 })
  await subscribe(session, '0', '/topic/slow')
  const beats = setInterval(() => session.sends('\n'), 500)
  proxy.pause()
  const sent = Array.from({ length: 30 }, (_, index) => `${index}${'x'.repeat(5_000)}`)
  for (const body of sent) await stack.publisher.publish('broadcast:slow', body)
  proxy.resume()
  const received: string[] = []
  while (received.length < 30) received.push((await nextMessage(session)).body)
  expect(received).toEqual(sent)
  clearInterval(beats)
  proxy.close()
})
