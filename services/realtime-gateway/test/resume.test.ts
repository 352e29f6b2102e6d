import { type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Bed,
  bodies,
  connected,
  message,
  metric,
  nothingElse,
  numbers,
  openBed,
  ops,
  sendFrame,
  subscribed,
} from './fixture/gateway.ts'

let bed: Bed
let gateway: ServiceProcess
let other: ServiceProcess
let memberId = 0

beforeAll(async () => {
  bed = await openBed()
  ;[gateway, other] = await Promise.all([bed.gateway(), bed.gateway()])
})
afterAll(() => bed.close())

const queue = '/member/queue/notification'
const publish = (body: string, length?: number) => bed.publisher.publish(`member:${memberId}:notification`, body, length)

async function publishAll(texts: readonly string[]): Promise<string[]> {
  return Promise.all(texts.map((text) => publish(text)))
}

function newMember(): Promise<RawSession> {
  memberId++
  return connected(gateway, { memberId })
}

async function resumed(session: RawSession, after: string, headers = {}) {
  const receipt = await subscribed(session, 'again', queue, { 'last-message-id': after, ...headers })
  return { recovered: receipt.headers.get('recovered'), position: receipt.headers.get('position') }
}

test('resume after the last message seen: what was missed, then what comes, on whichever gateway', async () => {
  const session = await newMember()
  await subscribed(session, '0', queue)
  const [first] = await publishAll(numbers(1, 3))
  expect(await bodies(session, 3)).toEqual(numbers(1, 3))
  session.socket.terminate()
  await publishAll(numbers(4, 9))
  for (const each of [gateway, other]) {
    const back = await connected(each, { memberId })
    expect(await resumed(back, first ?? '')).toEqual({ recovered: 'true', position: first })
    expect(await bodies(back, 8)).toEqual(numbers(2, 9))
    await nothingElse(back)
  }
})

test('resume from the position of the RECEIPT, before any message', async () => {
  const session = await newMember()
  const { headers } = await subscribed(session, '0', queue)
  session.socket.terminate()
  await publishAll(numbers(1, 3))
  const back = await connected(other, { memberId })
  expect((await resumed(back, headers.get('position') ?? '')).recovered).toBe('true')
  expect(await bodies(back, 3)).toEqual(numbers(1, 3))
})

test('resume where nothing was missed, though the history has expired: the gateway was listening', async () => {
  for (const ack of ['auto', 'client'] as const) {
    const session = await newMember()
    await subscribed(session, '0', queue)
    const last = await publish('1')
    expect(await bodies(session, 1)).toEqual(['1'])
    await bed.publisher.redis.del(`{member:${memberId}:notification}:history`)
    const back = await connected(gateway, { memberId })
    expect(await resumed(back, last, { ack })).toEqual({ recovered: 'true', position: last })
    await publish('2')
    expect(await bodies(back, 1)).toEqual(['2'])
  }
})

test('resume where nothing was missed', async () => {
  const session = await newMember()
  const last = await publish('1')
  expect(await resumed(session, last)).toEqual({ recovered: 'true', position: last })
  await publish('2')
  expect(await bodies(session, 1)).toEqual(['2'])
  await nothingElse(session)
})

test('a history that no longer reaches back: recovered:false, and what is left of it', async () => {
  const session = await newMember()
  const [first] = await publishAll(numbers(1, 8))
  const ninth = await publish('9', 3)
  const answer = await resumed(session, first ?? '')
  const [epoch, offset] = ninth.split('-') as [string, string]
  expect(answer).toEqual({ recovered: 'false', position: `${epoch}-${Number(offset) - 3}` })
  expect(await bodies(session, 3)).toEqual(['7', '8', '9'])
  await publish('10')
  expect(await bodies(session, 1)).toEqual(['10'])
})

test('a history that is gone, or has begun anew: recovered:false, said once', async () => {
  const session = await newMember()
  await subscribed(session, 'session', '/member/queue/session')
  const last = await publish('1')
  await bed.publisher.redis.del(`{member:${memberId}:notification}:history`)
  const answer = await resumed(session, last)
  expect(answer).toEqual({ recovered: 'false', position: expect.stringMatching(/^\d{13}-0$/) })
  await nothingElse(session)
  sendFrame(session, 'UNSUBSCRIBE', { id: 'again' })
  // It has been read before the publication comes, on another connection.
  await nothingElse(session)
  await publish('2')
  expect((await resumed(session, last)).recovered).toBe('false')
  expect(await bodies(session, 1)).toEqual(['2'])
  await nothingElse(session)
})

test('without a receipt the loss is told on /member/queue/session', async () => {
  const session = await newMember()
  await subscribed(session, 'session', '/member/queue/session')
  const last = await publish('1')
  await bed.publisher.redis.del(`{member:${memberId}:notification}:history`)
  sendFrame(session, 'SUBSCRIBE', { id: 'again', destination: queue, 'last-message-id': last })
  const told = await message(session)
  expect([told.headers.get('subscription'), JSON.parse(told.body)]).toEqual(['session', { type: 'gap', destination: queue }])
})

test.each(['nonsense', '', '1-2-3', '99999999999999999999-1', '9999999999999-1', '0-0'])(
  'last-message-id:%s is a loss',
  async (after) => {
    const session = await newMember()
    await publish('1')
    expect((await resumed(session, after)).recovered).toBe('false')
    expect(await bodies(session, 1)).toEqual(['1'])
    await nothingElse(session)
  },
)

test('outcomes are counted', async () => {
  const session = await newMember()
  const last = await publish('1')
  const before = await metric(gateway, 'resumes_total{recovered="true"}')
  await resumed(session, last)
  expect(await metric(gateway, 'resumes_total{recovered="true"}')).toBe(before + 1)
})

test.each(['auto', 'client', 'client-individual'])(
  'ack:%s: whatever is published meanwhile comes once and in order',
  async (ack) => {
    const first = await newMember()
    await subscribed(first, '0', queue)
    let at = await publish('0')
    let published = 0
    const publishing = { on: true }
    // A history that reaches back however far the publisher is ahead of a gateway that stands still.
    const publisher = (async () => {
      while (publishing.on) await Promise.all(numbers(published + 1, (published += 5)).map((text) => publish(text, 1_000_000)))
    })()
    const received: string[] = []
    for (let round = 0; round < 25; round++) {
      const session = await connected(round % 2 ? gateway : other, { memberId })
      expect((await resumed(session, at, { ack })).recovered).toBe('true')
      for (let count = 0; count < 30; count++) {
        const { headers, body } = await message(session)
        at = headers.get('message-id') ?? ''
        received.push(body)
        if (ack !== 'auto') sendFrame(session, 'ACK', { id: headers.get('ack') ?? '' })
      }
      session.socket.terminate()
    }
    publishing.on = false
    await publisher
    expect(received).toEqual(numbers(1, 750))
  },
)

test('two subscriptions of one session resume at once, each on its own', async () => {
  const session = await newMember()
  const [first] = await publishAll(numbers(1, 100))
  for (const id of ['a', 'b', 'c']) sendFrame(session, 'SUBSCRIBE', { id, destination: queue, 'last-message-id': first ?? '' })
  const received: Record<string, string[]> = { a: [], b: [], c: [] }
  for (let count = 0; count < 3 * 99; count++) {
    const { headers, body } = await message(session)
    received[headers.get('subscription') ?? '']?.push(body)
  }
  for (const id of ['a', 'b', 'c']) expect(received[id]).toEqual(numbers(2, 100))
})

test('a long history goes to a slow reader at its own pace', async () => {
  const session = await newMember()
  const text = 'x'.repeat(60_000)
  const first = await publish('0')
  for (let sent = 1; sent <= 99; sent++) await publish(`${sent}${text}`)
  session.socket.pause()
  for (const ack of ['auto', 'client-individual']) {
    sendFrame(session, 'SUBSCRIBE', { id: ack, destination: queue, ack, 'last-message-id': first, receipt: ack })
    await waitFor(async () => (await ops(gateway, `/session?memberId=${memberId}`)).text.includes(`"id":"${ack}"`), {
      what: 'the SUBSCRIBE to have arrived',
      deadlineMs: 20_000,
    })
  }
  session.socket.resume()
  const received: Record<string, string[]> = { auto: [], 'client-individual': [] }
  while ((received['auto']?.length ?? 0) + (received['client-individual']?.length ?? 0) < 198) {
    const frame = await session.nextFrame()
    if (frame.command === 'MESSAGE') received[frame.headers.get('subscription') ?? '']?.push(frame.body.slice(0, -text.length))
  }
  expect(received).toEqual({ auto: numbers(1, 99), 'client-individual': numbers(1, 99) })
})

test('UNSUBSCRIBE and SUBSCRIBE again and again, while publications come', async () => {
  const session = await newMember()
  const { headers } = await subscribed(session, 'again', queue)
  let at = headers.get('position') ?? ''
  const received: string[] = []
  const all = (async () => {
    for (const text of numbers(1, 300)) await publish(text, 1_000)
  })()
  while (received.length < 300) {
    sendFrame(session, 'UNSUBSCRIBE', { id: 'again' })
    sendFrame(session, 'SUBSCRIBE', { id: 'again', destination: queue, 'last-message-id': at, receipt: 'r' })
    // What is said before the RECEIPT belongs to the subscription that has ended: it is asked for again.
    while ((await session.nextFrame()).command !== 'RECEIPT');
    const wanted = Math.min(12, 300 - received.length)
    for (let count = 0; count < wanted; count++) {
      const frame = await message(session)
      at = frame.headers.get('message-id') ?? ''
      received.push(frame.body)
    }
  }
  await all
  expect(received).toEqual(numbers(1, 300))
})
