import { memberToken, openRawSession, type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Bed, connected, message, nothingElse, openBed, ready, subscribed } from './fixture/gateway.ts'

let bed: Bed
let gateways: ServiceProcess[]

beforeAll(async () => {
  bed = await openBed()
  gateways = await Promise.all([bed.gateway(), bed.gateway()])
})
afterAll(() => bed.close())

const revoke = (memberId: number) => bed.publisher.publish('gateway:control', JSON.stringify({ type: 'revoke', memberId }))

async function expectEnd(session: RawSession, code: number, said: string): Promise<void> {
  const error = await session.nextFrame(20_000)
  expect([error.command, error.headers.get('message')]).toEqual(['ERROR', said])
  expect((await session.closed()).code).toBe(code)
}

test('a session ends when its token does, and is told before', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const token = memberToken(1, { expiresInSeconds: 8 })
  const session = await connected(gateway, { token })
  await subscribed(session, '0', '/member/queue/session')
  const told = await message(session)
  const { type, expiresAt } = JSON.parse(told.body) as { type: string; expiresAt: number }
  expect([type, told.headers.get('destination')]).toEqual(['expiring', '/member/queue/session'])
  await expectEnd(session, 4401, 'the token has expired')
  expect(Date.now() - expiresAt * 1_000).toBeGreaterThanOrEqual(0)
  // With the next sweep, and what a busy machine adds.
  expect(Date.now() - expiresAt * 1_000).toBeLessThan(6_000)
})

test('who subscribes late is told late', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const session = await connected(gateway, { token: memberToken(1, { expiresInSeconds: 50 }) })
  // A sweep passes.
  const beganAt = performance.now()
  await waitFor(() => performance.now() - beganAt > 1_100, { what: 'two sweeps', deadlineMs: 20_000 })
  await subscribed(session, '0', '/member/queue/session')
  expect(JSON.parse((await message(session)).body)).toMatchObject({ type: 'expiring' })
})

test('revoke ends the sessions of that member on every gateway, and no others', async () => {
  const mine = await Promise.all([...gateways, ...gateways].map((gateway) => connected(gateway, { memberId: 2 })))
  const theirs = await Promise.all(gateways.map((gateway) => connected(gateway, { memberId: 3 })))
  await revoke(2)
  for (const session of mine) await expectEnd(session, 4401, 'the session was revoked')
  for (const session of theirs) await nothingElse(session)
})

test('revoke also ends a session that has not said CONNECT yet', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const session = (await openRawSession(gateway.url, { token: memberToken(4) })) as RawSession
  await revoke(4)
  await expectEnd(session, 4401, 'the session was revoked')
})

test('orders that are none are ignored', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const session = await connected(gateway, { memberId: 5 })
  for (const order of ['', '{', '{"type":"revoke"}', '{"type":"explode","memberId":5}'])
    await bed.publisher.publish('gateway:control', order)
  await bed.publisher.send('gateway:control', 'plain')
  await revoke(1_234)
  await nothingElse(session)
})

test('a revoke that was published while the gateway was cut off is obeyed when it is back', async () => {
  const [gateway] = gateways as [ServiceProcess]
  const session = await connected(gateway, { memberId: 6 })
  await bed.publisher.append('gateway:control', JSON.stringify({ type: 'revoke', memberId: 6 }))
  await nothingElse(session)
  const list = String(await bed.publisher.redis.client('LIST'))
  for (const line of list.split('\n').filter((each) => each.includes('name=realtime-gateway:subscriber'))) {
    await bed.publisher.redis.client('KILL', 'ID', /^id=(\d+)/.exec(line)?.[1] ?? '')
  }
  await expectEnd(session, 4401, 'the session was revoked')
})

test('no order is lost where Redis never had one', async () => {
  const fresh = await openBed()
  try {
    const gateway = await fresh.gateway()
    await fresh.redis.restart()
    await waitFor(() => gateway.logs.some((line) => line.includes('redis connection lost')), {
      what: 'the loss',
      deadlineMs: 20_000,
    })
    // Back again, not still believed to be there.
    const restored = () => gateway.logs.filter((line) => line.includes('redis subscriptions are up')).length > 1
    await waitFor(restored, { what: 'the return', deadlineMs: 20_000 })
    await ready(gateway)
    expect(gateway.logs.filter((line) => line.includes('orders to the gateways were lost'))).toEqual([])
  } finally {
    await fresh.close()
  }
})

test('sessions rotate: told when to come back, and closed with 1012', async () => {
  const rotating = await bed.gateway({ SESSION_MAX_AGE_SECONDS: '8' })
  const sessions = await Promise.all([7, 8, 9].map((memberId) => connected(rotating, { memberId })))
  for (const session of sessions) await subscribed(session, '0', '/member/queue/session')
  for (const session of sessions) {
    const { type, reconnectAfterMs } = JSON.parse((await message(session, 20_000)).body) as {
      type: string
      reconnectAfterMs: number
    }
    expect(type).toBe('draining')
    expect(reconnectAfterMs).toBeGreaterThanOrEqual(0)
    expect(reconnectAfterMs).toBeLessThanOrEqual(1_000)
    expect(await session.closed()).toEqual({ code: 1012, reason: `reconnect after ${reconnectAfterMs} ms` })
  }
})

test('one line is logged for each session that ends, and nothing of what it carried', async () => {
  const lines: string[] = []
  const gateway = await bed.gateway({}, { onLine: (line) => lines.push(line) })
  const token = memberToken(10)
  const session = await connected(gateway, { token })
  await subscribed(session, '0', '/topic/secret')
  await bed.publisher.publish('broadcast:secret', '"confidential"')
  await message(session)
  const before = lines.length
  await session.leaves()
  await waitFor(() => lines.length > before, { what: 'the line', deadlineMs: 20_000 })
  expect(lines.slice(before).map((line) => JSON.parse(line) as object)).toMatchObject([
    { memberId: 10, code: 1000, msg: 'session closed' },
  ])
  for (const secret of ['confidential', token, token.split('.')[2] ?? '']) expect(lines.join('\n')).not.toContain(secret)
})

test('a gateway that stood still itself ends nobody for being silent', { timeout: 60_000 }, async () => {
  const gateway = await bed.gateway({ HEART_BEAT_MS: '2000' })
  const session = await connected(gateway, { memberId: 11 })
  const beats = setInterval(() => session.sends('\n'), 500)
  gateway.pause()
  const stoppedAt = performance.now()
  await waitFor(() => performance.now() - stoppedAt > 8_000, { what: 'longer than silence may be', deadlineMs: 20_000 })
  gateway.resume()
  await nothingElse(session)
  const resumedAt = performance.now()
  await waitFor(() => performance.now() - resumedAt > 1_500, { what: 'some sweeps', deadlineMs: 20_000 })
  await nothingElse(session)
  clearInterval(beats)
})
