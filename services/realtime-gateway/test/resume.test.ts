import { type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  expectNothingElse,
  fetchOps,
  type GatewayStack,
  nextBodies,
  nextMessage,
  numberStrings,
  openSession,
  readMetric,
  sendFrame,
  startGatewayStack,
  subscribe,
} from './fixture/gateway.ts'

let stack: GatewayStack
let gateway: ServiceProcess
let other: ServiceProcess
let memberId = 0

beforeAll(async () => {
  stack = await startGatewayStack()
  ;[gateway, other] = await Promise.all([stack.startGateway(), stack.startGateway()])
})
afterAll(() => stack.close())

const queue = '/member/queue/notification'
const publish = (body: string, length?: number) => stack.publisher.publish(`member:${memberId}:notification`, body, length)

async function publishAll(texts: readonly string[]): Promise<string[]> {
  return Promise.all(texts.map((text) => publish(text)))
}

function newMember(): Promise<RawSession> {
  memberId++
  return openSession(gateway, { memberId })
}

async function resumeAfter(session: RawSession, position: string, headers = {}) {
  const receipt = await subscribe(session, 'again', queue, { 'last-message-id': position, ...headers })
  return { recovered: receipt.headers.get('recovered'), position: receipt.headers.get('position') }
}

test('resumes after the last received message on either gateway: first the missed publications, then live ones', async () => {
  const session = await newMember()
  await subscribe(session, '0', queue)
  const [first] = await publishAll(numberStrings(1, 3))
  expect(await nextBodies(session, 3)).toEqual(numberStrings(1, 3))
  session.socket.terminate()
  await publishAll(numberStrings(4, 9))
  for (const each of [gateway, other]) {
    const back = await openSession(each, { memberId })
    expect(await resumeAfter(back, first ?? '')).toEqual({ recovered: 'true', position: first })
    expect(await nextBodies(back, 8)).toEqual(numberStrings(2, 9))
    await expectNothingElse(back)
  }
})

test('resumes from the position of the RECEIPT when no message was received', async () => {
  const session = await newMember()
  const { headers } = await subscribe(session, '0', queue)
  session.socket.terminate()
  await publishAll(numberStrings(1, 3))
  const back = await openSession(other, { memberId })
  expect((await resumeAfter(back, headers.get('position') ?? '')).recovered).toBe('true')
  expect(await nextBodies(back, 3)).toEqual(numberStrings(1, 3))
})

test('a publication from between SUBSCRIBE in Redis and the RECEIPT is delivered, or the position of the RECEIPT includes it', async () => {
  const { redis } = stack.publisher
  const subscribeAndPublish = async (member: number) => {
    const session = await openSession(gateway, { memberId: member })
    const channel = `member:${member}:notification`
    const receipt = subscribe(session, '0', queue)
    await waitFor(async () => ((await redis.pubsub('NUMSUB', channel)) as [string, number])[1], { what: 'SUBSCRIBE in Redis' })
    const position = await stack.publisher.publish(channel, 'between')
    const start = (await receipt).headers.get('position')
    if (start !== position) expect((await nextMessage(session)).headers.get('message-id')).toBe(position)
    await expectNothingElse(session)
    await session.leaves()
  }
  await Promise.all(numberStrings(1_001, 1_060).map((member) => subscribeAndPublish(Number(member))))
})

test('recovers when the history has expired but the gateway was subscribed to the channel all the time', async () => {
  for (const ack of ['auto', 'client'] as const) {
    const session = await newMember()
    await subscribe(session, '0', queue)
    const last = await publish('1')
    expect(await nextBodies(session, 1)).toEqual(['1'])
    await stack.publisher.redis.del(`{member:${memberId}:notification}:history`)
    const back = await openSession(gateway, { memberId })
    expect(await resumeAfter(back, last, { ack })).toEqual({ recovered: 'true', position: last })
    await publish('2')
    expect(await nextBodies(back, 1)).toEqual(['2'])
  }
})

test('recovers when nothing was missed', async () => {
  const session = await newMember()
  const last = await publish('1')
  expect(await resumeAfter(session, last)).toEqual({ recovered: 'true', position: last })
  await publish('2')
  expect(await nextBodies(session, 1)).toEqual(['2'])
  await expectNothingElse(session)
})

test('sends recovered:false and the rest of the history when it no longer reaches back', async () => {
  const session = await newMember()
  const [first] = await publishAll(numberStrings(1, 8))
  const ninth = await publish('9', 3)
  const resumed = await resumeAfter(session, first ?? '')
  const [epoch, offset] = ninth.split('-') as [string, string]
  expect(resumed).toEqual({ recovered: 'false', position: `${epoch}-${Number(offset) - 3}` })
  expect(await nextBodies(session, 3)).toEqual(['7', '8', '9'])
  await publish('10')
  expect(await nextBodies(session, 1)).toEqual(['10'])
})

test('sends recovered:false, and no gap besides, when the history is gone or has a new epoch', async () => {
  const session = await newMember()
  await subscribe(session, 'session', '/member/queue/session')
  const last = await publish('1')
  await stack.publisher.redis.del(`{member:${memberId}:notification}:history`)
  const resumed = await resumeAfter(session, last)
  expect(resumed).toEqual({ recovered: 'false', position: expect.stringMatching(/^\d{15}-0$/) })
  await expectNothingElse(session)
  sendFrame(session, 'UNSUBSCRIBE', { id: 'again' })
  // The UNSUBSCRIBE has been handled before the publication arrives, which comes over another connection.
  await expectNothingElse(session)
  await publish('2')
  expect((await resumeAfter(session, last)).recovered).toBe('false')
  expect(await nextBodies(session, 1)).toEqual(['2'])
  await expectNothingElse(session)
})

test('reports the loss as a gap on /member/queue/session when SUBSCRIBE has no receipt', async () => {
  const session = await newMember()
  await subscribe(session, 'session', '/member/queue/session')
  const last = await publish('1')
  await stack.publisher.redis.del(`{member:${memberId}:notification}:history`)
  sendFrame(session, 'SUBSCRIBE', { id: 'again', destination: queue, 'last-message-id': last })
  const gap = await nextMessage(session)
  expect([gap.headers.get('subscription'), JSON.parse(gap.body)]).toEqual(['session', { type: 'gap', destination: queue }])
})

test.each(['nonsense', '', '1-2-3', '99999999999999999999-1', '9999999999999-1', '0-0'])(
  'sends recovered:false for last-message-id:%s',
  async (position) => {
    const session = await newMember()
    await publish('1')
    expect((await resumeAfter(session, position)).recovered).toBe('false')
    expect(await nextBodies(session, 1)).toEqual(['1'])
    await expectNothingElse(session)
  },
)

test('counts resumes by outcome in resumes_total', async () => {
  const session = await newMember()
  const last = await publish('1')
  const before = await readMetric(gateway, 'resumes_total{recovered="true"}')
  await resumeAfter(session, last)
  expect(await readMetric(gateway, 'resumes_total{recovered="true"}')).toBe(before + 1)
})

test.each(['auto', 'client', 'client-individual'])(
  'ack:%s: delivers once and in order what is published during 25 resumes on alternating gateways',
  async (ack) => {
    const first = await newMember()
    await subscribe(first, '0', queue)
    let position = await publish('0')
    let published = 0
    const publishing = { on: true }
    // The history is long enough to reach back however far the publisher gets ahead of a slow gateway.
    const publisher = (async () => {
      while (publishing.on)
        await Promise.all(numberStrings(published + 1, (published += 5)).map((text) => publish(text, 1_000_000)))
    })()
    const received: string[] = []
    for (let round = 0; round < 25; round++) {
      const session = await openSession(round % 2 ? gateway : other, { memberId })
      expect((await resumeAfter(session, position, { ack })).recovered).toBe('true')
      for (let count = 0; count < 30; count++) {
        const { headers, body } = await nextMessage(session)
        position = headers.get('message-id') ?? ''
        received.push(body)
        if (ack !== 'auto') sendFrame(session, 'ACK', { id: headers.get('ack') ?? '' })
      }
      session.socket.terminate()
    }
    publishing.on = false
    await publisher
    expect(received).toEqual(numberStrings(1, 750))
  },
)

test('resumes three subscriptions of one session at the same time, independently of each other', async () => {
  const session = await newMember()
  const [first] = await publishAll(numberStrings(1, 100))
  for (const id of ['a', 'b', 'c']) sendFrame(session, 'SUBSCRIBE', { id, destination: queue, 'last-message-id': first ?? '' })
  const received: Record<string, string[]> = { a: [], b: [], c: [] }
  for (let count = 0; count < 3 * 99; count++) {
    const { headers, body } = await nextMessage(session)
    received[headers.get('subscription') ?? '']?.push(body)
  }
  for (const id of ['a', 'b', 'c']) expect(received[id]).toEqual(numberStrings(2, 100))
})

test('sends a long history to a slow reader at the pace of the reader', async () => {
  const session = await newMember()
  const text = 'x'.repeat(60_000)
  const first = await publish('0')
  for (let sent = 1; sent <= 99; sent++) await publish(`${sent}${text}`)
  session.socket.pause()
  for (const ack of ['auto', 'client-individual']) {
    sendFrame(session, 'SUBSCRIBE', { id: ack, destination: queue, ack, 'last-message-id': first, receipt: ack })
    await waitFor(async () => (await fetchOps(gateway, `/session?memberId=${memberId}`)).text.includes(`"id":"${ack}"`), {
      what: `the subscription ${ack}`,
      deadlineMs: 20_000,
    })
  }
  session.socket.resume()
  const received: Record<string, string[]> = { auto: [], 'client-individual': [] }
  while ((received['auto']?.length ?? 0) + (received['client-individual']?.length ?? 0) < 198) {
    const frame = await session.nextFrame()
    if (frame.command === 'MESSAGE') received[frame.headers.get('subscription') ?? '']?.push(frame.body.slice(0, -text.length))
  }
  expect(received).toEqual({ auto: numberStrings(1, 99), 'client-individual': numberStrings(1, 99) })
})

test('loses and repeats nothing when a client resubscribes repeatedly during publications', async () => {
  const session = await newMember()
  const { headers } = await subscribe(session, 'again', queue)
  let position = headers.get('position') ?? ''
  const received: string[] = []
  const all = (async () => {
    for (const text of numberStrings(1, 300)) await publish(text, 1_000)
  })()
  while (received.length < 300) {
    sendFrame(session, 'UNSUBSCRIBE', { id: 'again' })
    sendFrame(session, 'SUBSCRIBE', { id: 'again', destination: queue, 'last-message-id': position, receipt: 'r' })
    // Messages before the RECEIPT belong to the ended subscription. They are delivered again to the new one.
    while ((await session.nextFrame()).command !== 'RECEIPT');
    const wanted = Math.min(12, 300 - received.length)
    for (let count = 0; count < wanted; count++) {
      const frame = await nextMessage(session)
      position = frame.headers.get('message-id') ?? ''
      received.push(frame.body)
    }
  }
  await all
  expect(received).toEqual(numberStrings(1, 300))
})

/** Returns the header `traceparent` and the body of the next messages. */
async function traces(session: RawSession, count: number): Promise<[string | undefined, string][]> {
  const found: [string | undefined, string][] = []
  while (found.length < count) {
    const { headers, body } = await nextMessage(session)
    found.push([headers.get('traceparent'), body])
  }
  return found
}

test.each(['1.2', '1.0'])(
  'a MESSAGE of STOMP %s carries the traceparent of its publication, live and resumed',
  async (version) => {
    memberId++
    const session = await openSession(gateway, { memberId, version })
    await subscribe(session, '0', queue)
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const first = await publish('{"n":1}')
    await publish(`${traceparent}\n{"n":2}`)
    expect(await traces(session, 2)).toEqual([
      [undefined, '{"n":1}'],
      [traceparent, '{"n":2}'],
    ])
    const back = await openSession(other, { memberId, version })
    expect(await resumeAfter(back, first)).toEqual({ recovered: 'true', position: first })
    expect(await traces(back, 1)).toEqual([[traceparent, '{"n":2}']])
  },
)
