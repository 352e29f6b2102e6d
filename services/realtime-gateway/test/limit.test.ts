import { connect, createServer, type Socket } from 'node:net'
import { memberToken, openRawSession, type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Bed, connected, message, metric, nothingElse, openBed, ops, sendFrame, subscribed } from './fixture/gateway.ts'

let bed: Bed
let gateway: ServiceProcess
/** Short periods and small buffers, with room for a machine that holds somebody up for a few seconds. */
let brisk: ServiceProcess
let hasty: ServiceProcess
let memberId = 0

beforeAll(async () => {
  bed = await openBed()
  ;[gateway, brisk, hasty] = await Promise.all([
    bed.gateway({ MAX_SESSIONS_PER_MEMBER: '3', MAX_FRAMES_PER_SECOND: '20' }),
    bed.gateway({ HEART_BEAT_MS: '2000', MAX_BUFFERED_BYTES: '200000', MAX_BUFFERED_MS: '3000' }),
    bed.gateway({ CONNECT_TIMEOUT_MS: '1500' }),
  ])
})
afterAll(() => bed.close())

const newMember = (options = {}) => connected(gateway, { memberId: ++memberId, ...options })

async function expectError(session: RawSession, code: number, said: string, deadlineMs = 20_000): Promise<void> {
  let frame = await session.nextFrame(deadlineMs)
  while (frame.command !== 'ERROR') frame = await session.nextFrame(deadlineMs)
  expect(frame.headers.get('message')).toContain(said)
  expect((await session.closed()).code).toBe(code)
}

test.each([
  ['a frame over MAX_FRAME_BYTES', `SEND\ndestination:/x\ncontent-length:70000\n\n`, 'MAX_FRAME_BYTES'],
  ['a body without end', `SEND\ndestination:/x\n\n${'x'.repeat(70_000)}`, 'MAX_FRAME_BYTES'],
  ['a header line over MAX_HEADER_BYTES', `SEND\n${'x'.repeat(5_000)}`, 'MAX_HEADER_BYTES'],
  ['more than MAX_HEADERS', `SEND\n${'a:b\n'.repeat(65)}`, 'MAX_HEADERS'],
  ['a huge length', `SEND\ncontent-length:99999999999999999999\n\n`, 'MAX_FRAME_BYTES'],
])('%s: 4400', async (_, bytes, said) => {
  const session = await newMember()
  session.sends(bytes)
  await expectError(session, 4400, said)
})

function beginAndAbort(session: RawSession, times: number): void {
  for (let sent = 0; sent < times; sent++) {
    sendFrame(session, 'BEGIN', { transaction: 't' })
    sendFrame(session, 'ABORT', { transaction: 't' })
  }
}

test('a flood: 4429', async () => {
  const session = await newMember()
  session.sends('BEGIN\ntransaction:t\n\n\0ABORT\ntransaction:t\n\n\0'.repeat(60))
  await expectError(session, 4429, 'more than 20 frames a second')
  const crumbs = await newMember()
  for (const octet of 'SUBSCRIBE\n'.repeat(500)) crumbs.sends(octet === '\n' ? ' ' : octet)
  await expectError(crumbs, 4429, 'more than 20 frames a second')
  expect(await metric(gateway, 'closes_total{code="4429"}')).toBe(2)
})

test('a burst within the sustained rate is no flood', async () => {
  const session = await newMember()
  beginAndAbort(session, 15)
  await nothingElse(session)
})

test('a session too many of a member: the oldest goes with 4409', async () => {
  memberId++
  const sessions = await Promise.all([1, 2, 3].map(() => connected(gateway, { memberId })))
  const [oldest] = (
    JSON.parse((await ops(gateway, `/session?memberId=${memberId}`)).text) as { sessions: { sessionId: string }[] }
  ).sessions
  await connected(gateway, { memberId })
  const codes = await Promise.race(sessions.map(async (session) => (await session.closed()).code))
  expect(codes).toBe(4409)
  const { sessions: left } = JSON.parse((await ops(gateway, `/session?memberId=${memberId}`)).text) as {
    sessions: { sessionId: string }[]
  }
  expect([left.length, left.some(({ sessionId }) => sessionId === oldest?.sessionId)]).toEqual([3, false])
})

test('sockets that never say CONNECT count as well', async () => {
  memberId++
  const silent = await Promise.all([1, 2, 3].map(() => openRawSession(gateway.url, { token: memberToken(memberId) })))
  await connected(gateway, { memberId })
  await Promise.race((silent as RawSession[]).map((session) => expectError(session, 4409, 'more than 3 sessions')))
})

test.concurrent('no CONNECT in time: 4408', async () => {
  const session = (await openRawSession(hasty.url, { token: memberToken(1) })) as RawSession
  session.sends('CONNECT\n')
  await expectError(session, 4408, 'no CONNECT within 1500 ms (CONNECT_TIMEOUT_MS)')
})

/** The usual time between the beats that come, of five: a busy machine makes one or two late. */
async function usualPeriod(session: RawSession): Promise<number> {
  const at: number[] = []
  session.socket.on('message', (data: Buffer) => data.toString() === '\n' && at.push(performance.now()))
  await waitFor(() => at.length >= 6, { what: 'five periods', deadlineMs: 30_000 })
  const periods = at.slice(1).map((each, index) => each - (at[index] ?? 0))
  return periods.toSorted((a, b) => a - b)[Math.floor(periods.length / 2)] ?? 0
}

test.concurrent('we beat as agreed, and a client that beats stays', { timeout: 90_000 }, async () => {
  const session = await connected(brisk, { memberId: 10, heartBeat: '2000,2000' })
  const timer = setInterval(() => session.sends('\n'), 1_000)
  expect(await usualPeriod(session)).toBeLessThan(2_600)
  clearInterval(timer)
  // It falls silent: three periods later it is gone.
  await expectError(session, 4408, 'silent for 3 heart-beat periods of 2000 ms')
})

test.concurrent('a client that wants none gets none, and answers pings instead, when it is silent', {
  timeout: 60_000,
}, async () => {
  const session = await connected(brisk, { memberId: 11, heartBeat: '0,0' })
  const talkative = await connected(brisk, { memberId: 18, heartBeat: '0,0' })
  const timer = setInterval(() => talkative.sends('\n'), 500)
  let pings = 0
  session.socket.on('ping', () => pings++)
  let needless = 0
  talkative.socket.on('ping', () => needless++)
  await waitFor(() => pings >= 2, { what: 'two pings', deadlineMs: 30_000 })
  clearInterval(timer)
  expect(needless).toBe(0)
  expect(session.received.filter((each) => each === '\n')).toEqual([])
  await nothingElse(session)
})

test.concurrent('a client that only listens has its beats besides the pings', { timeout: 60_000 }, async () => {
  const session = await connected(brisk, { memberId: 12, heartBeat: '0,2000' })
  expect(await usualPeriod(session)).toBeLessThan(2_600)
})

test.concurrent('a client that answers neither ping nor beat is ended', async () => {
  const session = await connected(brisk, { memberId: 13, heartBeat: '0,0' })
  session.socket.pause()
  await waitFor(async () => JSON.parse((await ops(brisk, '/session?memberId=13')).text).sessions.length === 0, {
    what: 'the silent session to end',
    deadlineMs: 20_000,
  })
  session.socket.resume()
  expect((await session.closed()).code).toBe(4408)
})

/** With which code and when, in Unix ms, the gateway has ended a member's session, by its log. */
function closed(member: number): { code: number; time: number } | undefined {
  const line = brisk.logs.find((each) => each.includes('session closed') && each.includes(`"memberId":${member},`))
  return line ? (JSON.parse(line) as { code: number; time: number }) : undefined
}

/** A TCP proxy whose client side stops reading when told, so that the gateway's bytes wait in its own memory. */
async function throttle(target: ServiceProcess): Promise<{ url: string; freeze(): void; thaw(): void; close(): void }> {
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
    freeze: () => {
      for (const [client, upstream] of pairs) {
        upstream.unpipe(client)
        upstream.pause()
      }
    },
    thaw: () => {
      for (const [client, upstream] of pairs) upstream.pipe(client)
    },
    close: () => {
      server.close()
      for (const pair of pairs) for (const socket of pair) socket.destroy()
    },
  }
}

test.concurrent('too many bytes unread: 4508 at once', { timeout: 60_000 }, async () => {
  const proxy = await throttle(brisk)
  const session = await connected(proxy, { memberId: 14 })
  await subscribed(session, '0', '/topic/heavy')
  proxy.freeze()
  const beats = setInterval(() => session.sends('\n'), 500)
  const body = 'x'.repeat(60_000)
  await waitFor(
    async () => {
      await bed.publisher.publish('broadcast:heavy', body)
      return closed(14)
    },
    { what: 'the slow one to be closed', deadlineMs: 25_000 },
  )
  expect(closed(14)?.code).toBe(4508)
  clearInterval(beats)
  proxy.close()
})

test.concurrent('a few bytes that wait too long: 4508 by the timer, without another send', { timeout: 60_000 }, async () => {
  const proxy = await throttle(brisk)
  const session = await connected(proxy, { memberId: 15 })
  await subscribed(session, '0', '/topic/stuck')
  const witness = await connected(brisk, { memberId: 17 })
  await subscribed(witness, '0', '/topic/stuck')
  proxy.freeze()
  const beats = setInterval(() => session.sends('\n'), 500)
  const buffered = async () =>
    (JSON.parse((await ops(brisk, '/session?memberId=15')).text) as { sessions: { bufferedBytes: number }[] }).sessions[0]
      ?.bufferedBytes ?? 0
  const body = 'x'.repeat(50_000)
  let freeAt = 0
  await waitFor(
    async () => {
      freeAt = Date.now()
      await bed.publisher.publish('broadcast:stuck', body)
      // The gateway has handed it to both: no more than one is on its way when bytes wait.
      await message(witness)
      return (await buffered()) > 0
    },
    { what: 'bytes to wait in the gateway', deadlineMs: 20_000 },
  )
  const end = await waitFor(() => closed(15), { what: 'the stuck one to be closed', deadlineMs: 20_000 })
  expect(end.code).toBe(4508)
  expect(end.time - freeAt).toBeGreaterThan(2_900)
  expect(end.time - freeAt).toBeLessThan(10_000)
  clearInterval(beats)
  proxy.close()
})

test.concurrent('a reader that was slow for a moment loses nothing', async () => {
  const proxy = await throttle(brisk)
  const session = await connected(proxy, { memberId: 16 })
  await subscribed(session, '0', '/topic/slow')
  const beats = setInterval(() => session.sends('\n'), 500)
  proxy.freeze()
  const sent = Array.from({ length: 30 }, (_, index) => `${index}${'x'.repeat(5_000)}`)
  for (const body of sent) await bed.publisher.publish('broadcast:slow', body)
  proxy.thaw()
  const received: string[] = []
  while (received.length < 30) received.push((await message(session)).body)
  expect(received).toEqual(sent)
  clearInterval(beats)
  proxy.close()
})
