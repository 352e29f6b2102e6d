import { connectStomp, memberToken, openRawSession, type RawSession, type ServerFrame, type ServiceProcess } from '@tidings/local'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  expectNothingElse,
  type GatewayStack,
  nextBodies,
  nextMessage,
  openSession,
  sendFrame,
  startGatewayStack,
  subscribe,
} from './fixture/gateway.ts'

let stack: GatewayStack
let gateway: ServiceProcess
let lastMember = 100

beforeAll(async () => {
  stack = await startGatewayStack()
  gateway = await stack.startGateway({ MAX_SUBSCRIPTIONS_PER_SESSION: '4' })
})
afterAll(() => stack.close())

/** Opens a session of a new member, so that no two tests share a channel. */
async function openSessionOfNewMember(version = '1.2') {
  const memberId = ++lastMember
  const session = await openSession(gateway, { memberId, version })
  const publish = (body: string, queue = 'notification') => stack.publisher.publish(`member:${memberId}:${queue}`, body)
  return { session, memberId, publish }
}

/** Opens a WebSocket without CONNECT. */
async function openWithoutConnect(): Promise<RawSession> {
  return (await openRawSession(gateway.url, { token: memberToken(1) })) as RawSession
}

/** Checks the ERROR that must come next, and the close code. */
async function expectRefused(session: RawSession, code: number, message: string | RegExp, receiptId?: string): Promise<void> {
  const error = await session.nextFrame()
  expect(error.command).toBe('ERROR')
  expect(error.headers.get('message')).toMatch(message)
  expect(error.headers.get('content-type')).toBe('text/plain')
  expect(error.headers.get('receipt-id')).toBe(receiptId)
  expect((await session.closed()).code).toBe(code)
}

describe('CONNECT', () => {
  test.each([
    ['1.0', '1.0'],
    ['1.1', '1.1'],
    ['1.2', '1.2'],
    ['1.0,1.1,1.2', '1.2'],
    ['1.1,2.0', '1.1'],
    ['1.0, 1.1', '1.1'],
  ])('accept-version:%s results in version %s', async (accepted, version) => {
    const { session, connected: frame } = await connectStomp(gateway.url, { memberId: 7, version: accepted })
    expect(frame.headers.get('version')).toBe(version)
    await session.leaves()
  })

  test('CONNECTED has the member id, the end of the token and the heart-beat of the gateway', async () => {
    const text = await connectStomp(gateway.url, { memberId: 'auth0|7' })
    expect(text.connected.headers.get('user-name')).toBe('auth0|7')
    const { connected: frame } = await connectStomp(gateway.url, { memberId: 7, heartBeat: '5000,20000' })
    expect([...frame.headers]).toEqual([
      ['version', '1.2'],
      ['session', expect.stringMatching(/^[0-9a-f-]{36}$/)],
      ['server', expect.stringMatching(/^tidings\/\d/)],
      ['user-name', '7'],
      ['heart-beat', '10000,10000'],
      ['expires-at', expect.stringMatching(/^\d{10}$/)],
    ])
    expect(Math.abs(Number(frame.headers.get('expires-at')) - Date.now() / 1_000 - 3_600)).toBeLessThan(60)
  })

  test('agrees on no heart-beats in 1.0', async () => {
    const { connected: frame } = await connectStomp(gateway.url, { version: '1.0', heartBeat: '1000,1000' })
    expect(frame.headers.get('heart-beat')).toBe('0,0')
  })

  test('accepts STOMP in place of CONNECT, and ignores login, passcode and receipt', async () => {
    const session = await openWithoutConnect()
    sendFrame(session, 'STOMP', { 'accept-version': '1.2', host: 'x', login: 'admin', passcode: 'y', receipt: 'r' })
    expect((await session.nextFrame()).headers.get('user-name')).toBe('1')
    await expectNothingElse(session)
  })

  test('speaks 1.0 without accept-version', async () => {
    const session = await openWithoutConnect()
    sendFrame(session, 'CONNECT')
    expect((await session.nextFrame()).headers.get('version')).toBe('1.0')
  })

  test('refuses a CONNECT without a common version', async () => {
    const session = await openWithoutConnect()
    sendFrame(session, 'CONNECT', { 'accept-version': '1.3,2.0' })
    const error = await session.nextFrame()
    // STOMP 1.2, Protocol Negotiation.
    expect([...error.headers]).toEqual([
      ['version', '1.0,1.1,1.2'],
      ['content-type', 'text/plain'],
      ['message', 'supported protocol versions are 1.0,1.1,1.2'],
      ['content-length', expect.stringMatching(/^\d+$/)],
    ])
    expect(error.body).toBe('CONNECT was refused: supported protocol versions are 1.0,1.1,1.2\n')
    expect((await session.closed()).code).toBe(4400)
  })

  test.each(['', ' ', ',', '1', '1.20', '1.2;1.1'])('sends the supported versions for accept-version:%j', async (accepted) => {
    const session = await openWithoutConnect()
    sendFrame(session, 'STOMP', { 'accept-version': accepted })
    expect((await session.nextFrame()).headers.get('version')).toBe('1.0,1.1,1.2')
  })

  test.each(['10', '-1,0', 'a,b', '1,2,3', ''])('refuses heart-beat:%s', async (heartBeat) => {
    const session = await openWithoutConnect()
    sendFrame(session, 'CONNECT', { 'accept-version': '1.2', 'heart-beat': heartBeat })
    await expectRefused(session, 4400, 'heart-beat')
  })

  test('refuses a second CONNECT', async () => {
    const { session } = await openSessionOfNewMember()
    sendFrame(session, 'CONNECT', { 'accept-version': '1.2', receipt: 'again' })
    await expectRefused(session, 4400, 'already connected', 'again')
  })

  test('refuses any other frame before CONNECT', async () => {
    const session = await openWithoutConnect()
    sendFrame(session, 'SUBSCRIBE', { id: '0', destination: '/topic/all', receipt: 'r' })
    await expectRefused(session, 4400, 'the first frame must be CONNECT', 'r')
  })

  test('reads frames after CONNECT in the same message in the agreed version', async () => {
    const session = await openWithoutConnect()
    session.sends('CONNECT\naccept-version:1.2\n\n\0\n\nBEGIN\r\ntransaction:a\\cb\r\nreceipt:c\\cd\r\n\r\n\0')
    expect((await session.nextFrame()).command).toBe('CONNECTED')
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('c:d')
    expect(session.received.at(-1)).toBe('RECEIPT\nreceipt-id:c\\cd\n\n\0')
  })

  test('accepts frames that are cut anywhere, and binary messages', async () => {
    const session = await openWithoutConnect()
    for (const octet of Buffer.from('CONNECT\naccept-version:1.1\n\n\0')) session.sends(Uint8Array.of(octet))
    expect((await session.nextFrame()).headers.get('version')).toBe('1.1')
  })
})

describe.each(['1.0', '1.1', '1.2'])('%s', (version) => {
  test('sends MESSAGEs from SUBSCRIBE to UNSUBSCRIBE', async () => {
    const { session, publish } = await openSessionOfNewMember(version)
    const receipt = await subscribe(session, 'a', '/member/queue/notification')
    expect(receipt.headers.get('position')).toMatch(/^\d{15}-0$/)
    const position = await publish('{"n":1}')
    const { headers, body } = await nextMessage(session)
    expect([...headers.keys()]).toEqual([
      'subscription',
      'message-id',
      'destination',
      'content-type',
      'content-length',
      ...(version === '1.2' ? ['ack'] : []),
    ])
    expect([headers.get('subscription'), headers.get('message-id'), body]).toEqual(['a', position, '{"n":1}'])
    sendFrame(session, 'UNSUBSCRIBE', { id: 'a', receipt: 'unsubscribed' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('unsubscribed')
    await publish('{"n":2}')
    // Redis replies to the publisher before it writes to the gateway. A later publication on another channel proves that it has.
    await subscribe(session, 'b', '/member/queue/read')
    await publish('{}', 'read')
    await nextMessage(session)
    await subscribe(session, 'a', '/member/queue/notification')
    await publish('{"n":3}')
    expect((await nextMessage(session)).body).toBe('{"n":3}')
    await expectNothingElse(session)
  })

  test('returns a subscription id with special characters unchanged', async () => {
    const { session, publish } = await openSessionOfNewMember(version)
    const id = version === '1.0' ? 'é:한 x\\n' : 'é\\c한\\\\\\n x'
    const unescapedId = version === '1.0' ? id : 'é:한\\\n x'
    expect((await subscribe(session, id, '/member/queue/notification')).headers.get('receipt-id')).toBe(`receipt-${unescapedId}`)
    await publish('1')
    expect((await nextMessage(session)).headers.get('subscription')).toBe(unescapedId)
  })

  test.each([
    ['SUBSCRIBE', { id: 'a' }, 4400, 'SUBSCRIBE needs a destination header'],
    ['SUBSCRIBE', { id: 'a', destination: '/topic/all', ack: 'maybe' }, 4400, 'ack must be one of'],
    ['SUBSCRIBE', { id: 'a', destination: '/member/2/queue/notification' }, 4403, 'no such destination'],
    ['SUBSCRIBE', { id: 'a', destination: '/member/queue/2:notification' }, 4403, 'allowed are /member/queue/{name} and /topic'],
    ['SUBSCRIBE', { id: 'a', destination: '/queue/x' }, 4403, 'no such destination'],
    ['SUBSCRIBE', { id: 'a', destination: '/topic/*' }, 4403, 'no such destination'],
    ['UNSUBSCRIBE', {}, 4400, 'UNSUBSCRIBE needs an id header'],
    ['UNSUBSCRIBE', { id: 'zzz' }, 4400, 'there is no subscription with id zzz'],
    ['SEND', {}, 4400, 'SEND needs a destination header'],
    ['SEND', { destination: '/topic/all' }, 4403, /allowed are \/publish\/notification\/read/],
    ['SEND', { destination: '/publish/notification/read/../x' }, 4403, 'no such destination'],
    ['SEND', { destination: '/publish/constructor' }, 4403, 'no such destination'],
    ['ACK', {}, 4400, version === '1.2' ? 'ACK needs an id header' : 'ACK needs a message-id header'],
    ['BEGIN', {}, 4400, 'BEGIN needs a transaction header'],
    ['COMMIT', { transaction: 't' }, 4400, 'there is no open transaction t'],
    ['ABORT', { transaction: 't' }, 4400, 'there is no open transaction t'],
    ['ACK', { transaction: 't', id: '1', 'message-id': '1' }, 4400, 'there is no open transaction t'],
    ['HELLO', {}, 4400, 'unknown command "HELLO"'],
  ])('refuses %s with the headers %j', async (command, headers, code, message) => {
    const { session } = await openSessionOfNewMember(version)
    sendFrame(session, command, { receipt: 'r-1', ...headers })
    await expectRefused(session, code, message, command === 'HELLO' ? undefined : 'r-1')
  })

  test('refuses a second SUBSCRIBE with the same id', async () => {
    const { session } = await openSessionOfNewMember(version)
    await subscribe(session, 'a', '/member/queue/notification')
    sendFrame(session, 'SUBSCRIBE', { id: 'a', destination: '/member/queue/read', receipt: 'r' })
    await expectRefused(session, 4400, 'there is a subscription with id a already', 'r')
  })

  test('names the refused frame in the body of an ERROR', async () => {
    const { session } = await openSessionOfNewMember(version)
    sendFrame(session, 'UNSUBSCRIBE', { id: 'x' })
    expect((await session.nextFrame()).body).toBe('UNSUBSCRIBE was refused: there is no subscription with id x\n')
  })

  test('sends the RECEIPT of a DISCONNECT, closes with 1000, and ignores later frames', async () => {
    const { session } = await openSessionOfNewMember(version)
    sendFrame(session, 'DISCONNECT', { receipt: 'bye' })
    sendFrame(session, 'DISCONNECT', { receipt: 'too late' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('bye')
    expect((await session.closed()).code).toBe(1000)
    expect(session.framesWaiting).toBe(0)
  })

  test('sends the RECEIPTs of all frames in the order of the frames, even if one of them waits for Redis', async () => {
    const { session } = await openSessionOfNewMember(version)
    sendFrame(session, 'SUBSCRIBE', { id: 'a', destination: '/member/queue/notification', receipt: '1' })
    sendFrame(session, 'SUBSCRIBE', { id: 'b', destination: '/topic/all', receipt: '2' })
    sendFrame(session, 'UNSUBSCRIBE', { id: 'a', receipt: '3' })
    sendFrame(session, 'BEGIN', { transaction: 't', receipt: '4' })
    sendFrame(session, 'ACK', { transaction: 't', id: 'x', subscription: 'b', 'message-id': 'x', receipt: '5' })
    sendFrame(session, 'COMMIT', { transaction: 't', receipt: '6' })
    sendFrame(session, 'BEGIN', { transaction: 't', receipt: '7' })
    sendFrame(session, 'ABORT', { transaction: 't', receipt: '8' })
    sendFrame(session, 'SUBSCRIBE', { id: 'a', destination: '/member/queue/read', receipt: '9' })
    sendFrame(session, 'DISCONNECT', { receipt: '10' })
    const receipts: (string | undefined)[] = []
    while (receipts.length < 10) receipts.push((await session.nextFrame()).headers.get('receipt-id'))
    expect(receipts).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10'])
  })

  test.each([{ mode: 'client', settled: 3 }, ...(version === '1.0' ? [] : [{ mode: 'client-individual', settled: 1 }])])(
    'ack:$mode settles $settled of 3 messages with one ACK, and accepts the same ACK again',
    async ({ mode, settled }) => {
      const { session, memberId, publish } = await openSessionOfNewMember(version)
      await subscribe(session, 'a', '/member/queue/notification', { ack: mode })
      for (const body of ['1', '2', '3']) await publish(body)
      const messages = [await nextMessage(session), await nextMessage(session), await nextMessage(session)]
      const { headers } = messages[2] ?? { headers: new Map<string, string>() }
      const ackHeaders =
        version === '1.2'
          ? { id: headers.get('ack') ?? '' }
          : { subscription: 'a', 'message-id': headers.get('message-id') ?? '' }
      sendFrame(session, 'ACK', { ...ackHeaders, receipt: 'acked' })
      expect((await session.nextFrame()).headers.get('receipt-id')).toBe('acked')
      const response = await fetch(`http://127.0.0.1:${gateway.opsPort}/session?memberId=${memberId}`)
      expect(await response.json()).toMatchObject({
        sessions: [{ subscriptions: [{ ack: mode, unackedMessages: 3 - settled }] }],
      })
      sendFrame(session, 'ACK', { ...ackHeaders, receipt: 'twice' })
      expect((await session.nextFrame()).headers.get('receipt-id')).toBe('twice')
    },
  )
})

test('refuses more than MAX_SUBSCRIPTIONS_PER_SESSION subscriptions', async () => {
  const { session } = await openSessionOfNewMember()
  for (const id of ['1', '2', '3', '4']) await subscribe(session, id, `/topic/t${id}`)
  sendFrame(session, 'SUBSCRIBE', { id: '5', destination: '/topic/t5' })
  await expectRefused(session, 4400, 'more than 4 subscriptions')
})

describe('1.0', () => {
  test('identifies a subscription without id by its destination', async () => {
    const { session, publish } = await openSessionOfNewMember('1.0')
    sendFrame(session, 'SUBSCRIBE', { destination: '/member/queue/notification', receipt: 'r' })
    await session.nextFrame()
    const position = await publish('1')
    const { headers } = await nextMessage(session)
    expect([...headers.keys()]).toEqual(['message-id', 'destination', 'content-type', 'content-length'])
    sendFrame(session, 'ACK', { 'message-id': position, receipt: 'acked' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('acked')
    sendFrame(session, 'UNSUBSCRIBE', { destination: '/member/queue/notification', receipt: 'unsubscribed' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('unsubscribed')
    await publish('2')
    await expectNothingElse(session)
  })

  test('finds a subscription with an id for an UNSUBSCRIBE by destination', async () => {
    const { session } = await openSessionOfNewMember('1.0')
    await subscribe(session, 'x', '/member/queue/notification')
    sendFrame(session, 'UNSUBSCRIBE', { destination: '/member/queue/notification', receipt: 'unsubscribed' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('unsubscribed')
  })

  test('sends a subscription header for an empty id, and none for a missing id', async () => {
    const { session: withoutId, memberId, publish } = await openSessionOfNewMember('1.0')
    const withEmptyId = await openSession(gateway, { memberId, version: '1.0' })
    for (const [session, id] of [
      [withoutId, {}],
      [withEmptyId, { id: '' }],
    ] as const) {
      sendFrame(session, 'SUBSCRIBE', { ...id, destination: '/member/queue/notification', receipt: 'r' })
      expect((await session.nextFrame()).command).toBe('RECEIPT')
    }
    await publish('1')
    expect((await nextMessage(withoutId)).headers.get('subscription')).toBeUndefined()
    expect((await nextMessage(withEmptyId)).headers.get('subscription')).toBe('')
  })

  /** Subscribes to the notifications three times: without id, with an empty id, and with the destination as id. */
  async function subscribeThrice(ack = 'auto') {
    const opened = await openSessionOfNewMember('1.0')
    for (const id of [{}, { id: '' }, { id: destination }]) {
      sendFrame(opened.session, 'SUBSCRIBE', { ...id, destination, ack, receipt: 'r' })
      expect((await opened.session.nextFrame()).command).toBe('RECEIPT')
    }
    return opened
  }

  /** Publishes, and returns the `subscription` headers of the next `count` messages. */
  async function subscriptionHeaders(opened: Awaited<ReturnType<typeof subscribeThrice>>, count: number) {
    await opened.publish('1')
    const headers: (string | undefined)[] = []
    while (headers.length < count) headers.push((await nextMessage(opened.session)).headers.get('subscription'))
    await expectNothingElse(opened.session)
    return headers
  }

  const destination = '/member/queue/notification'

  test('keeps subscriptions apart: without id, with an empty id, and with the destination as id', async () => {
    const opened = await subscribeThrice()
    expect(await subscriptionHeaders(opened, 3)).toEqual([undefined, '', destination])
    sendFrame(opened.session, 'SUBSCRIBE', { id: '', destination: '/topic/all', receipt: 'r' })
    await expectRefused(opened.session, 4400, 'there is a subscription with id  already', 'r')
  })

  test('refuses a second SUBSCRIBE without id to the same destination', async () => {
    const { session } = await openSessionOfNewMember('1.0')
    for (const receipt of ['1', '2']) sendFrame(session, 'SUBSCRIBE', { destination, receipt })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('1')
    await expectRefused(session, 4400, `there is a subscription to ${destination} without id already`, '2')
  })

  test.each([
    ['without id', { destination }, ['', destination]],
    ['with an empty id', { id: '' }, [undefined, destination]],
    ['with the destination as id', { id: destination }, [undefined, '']],
    ['with an empty id and a destination', { id: '', destination }, [undefined, destination]],
  ])('ends exactly the subscription that an UNSUBSCRIBE names: %s', async (_, headers, remaining) => {
    const opened = await subscribeThrice()
    sendFrame(opened.session, 'UNSUBSCRIBE', { ...headers, receipt: 'unsubscribed' })
    expect((await opened.session.nextFrame()).headers.get('receipt-id')).toBe('unsubscribed')
    expect(await subscriptionHeaders(opened, 2)).toEqual(remaining)
  })

  test('refuses an UNSUBSCRIBE with an unknown id, although it names the destination of another subscription', async () => {
    const { session } = await openSessionOfNewMember('1.0')
    await subscribe(session, 'a', destination)
    sendFrame(session, 'UNSUBSCRIBE', { id: 'b', destination, receipt: 'r' })
    await expectRefused(session, 4400, 'there is no subscription with id b', 'r')
  })

  test('settles the message of the subscription that an ACK names, or of the first that awaits it', async () => {
    const { session, memberId, publish } = await subscribeThrice('client')
    const position = await publish('1')
    for (let received = 0; received < 3; received++) await nextMessage(session)
    const unacked = async () => {
      const response = await fetch(`http://127.0.0.1:${gateway.opsPort}/session?memberId=${memberId}`)
      const { sessions } = (await response.json()) as {
        sessions: { subscriptions: { id?: string; unackedMessages: number }[] }[]
      }
      return sessions[0]?.subscriptions.map(({ id, unackedMessages }) => [id, unackedMessages])
    }
    expect(await unacked()).toEqual([
      [undefined, 1],
      ['', 1],
      [destination, 1],
    ])
    sendFrame(session, 'ACK', { subscription: destination, 'message-id': position })
    sendFrame(session, 'ACK', { subscription: '', 'message-id': position })
    await expectNothingElse(session)
    expect(await unacked()).toEqual([
      [undefined, 1],
      ['', 0],
      [destination, 0],
    ])
    sendFrame(session, 'ACK', { 'message-id': position })
    await expectNothingElse(session)
    expect((await unacked())?.[0]).toEqual([undefined, 0])
  })

  test('refuses NACK as an unknown command', async () => {
    const { session } = await openSessionOfNewMember('1.0')
    sendFrame(session, 'NACK', { 'message-id': 'x' })
    await expectRefused(session, 4400, 'unknown command "NACK"')
  })
})

/** The longest `id` that the gateway accepts: MAX_HEADER_BYTES, less what ACK adds to it. */
const maxIdBytes = 4_096 - 52

describe.each([
  [
    '1.1',
    ['', '@', 'a@b', '1-1@a', '/member/queue/notification', ' x ', 'a\rb', 'x'.repeat(maxIdBytes), '한'.repeat(maxIdBytes / 4)],
  ],
  [
    '1.2',
    ['', '@', 'a@b', '1-1@a', '/member/queue/notification', ' x ', '\\r', 'x'.repeat(maxIdBytes), '한'.repeat(maxIdBytes / 4)],
  ],
  ['1.2', [':'.repeat(maxIdBytes / 2)]],
])('%s: a subscription whose id is', (version, ids) => {
  test.each(ids)('%j receives its messages, settles them and ends', async (id) => {
    const { session, memberId, publish } = await openSessionOfNewMember(version)
    sendFrame(session, 'SUBSCRIBE', { id, destination: '/member/queue/notification', ack: 'client-individual', receipt: 'r' })
    expect((await session.nextFrame()).command).toBe('RECEIPT')
    const position = await publish('1')
    await nextMessage(session)
    // The headers as they were sent, since a client copies them into ACK in the same encoding.
    const lines = session.received.at(-1)?.split('\n') ?? []
    const header = (name: string) => lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1) ?? ''
    const ackHeaders =
      version === '1.2' ? { id: header('ack') } : { subscription: header('subscription'), 'message-id': position }
    sendFrame(session, 'ACK', { ...ackHeaders, receipt: 'acked' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('acked')
    const response = await fetch(`http://127.0.0.1:${gateway.opsPort}/session?memberId=${memberId}`)
    expect(await response.json()).toMatchObject({ sessions: [{ subscriptions: [{ unackedMessages: 0 }] }] })
    sendFrame(session, 'UNSUBSCRIBE', { id, receipt: 'unsubscribed' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('unsubscribed')
  })
})

test.each([
  ['1.0', 'x'.repeat(maxIdBytes + 1)],
  ['1.1', 'x'.repeat(maxIdBytes + 1)],
  ['1.2', 'x'.repeat(maxIdBytes + 1)],
  ['1.2', '한'.repeat(maxIdBytes / 3 + 1)],
  ['1.2', ':'.repeat(maxIdBytes / 2 + 1)],
])('%s: refuses an id that does not fit into the ACK of its messages', async (version, id) => {
  const { session } = await openSessionOfNewMember(version)
  sendFrame(session, 'SUBSCRIBE', { id, destination: '/topic/all', receipt: 'r' })
  await expectRefused(session, 4400, `id is longer than ${maxIdBytes} bytes`, 'r')
})

test.each(['1.1', '1.2'])('%s: settles a message at NACK, and does not send it again', async (version) => {
  const { session, publish } = await openSessionOfNewMember(version)
  await subscribe(session, 'a', '/member/queue/notification', { ack: 'client-individual' })
  await publish('1')
  const { headers } = await nextMessage(session)
  sendFrame(session, 'NACK', {
    ...(version === '1.2'
      ? { id: headers.get('ack') ?? '' }
      : { subscription: 'a', 'message-id': headers.get('message-id') ?? '' }),
    receipt: 'nacked',
  })
  expect((await session.nextFrame()).headers.get('receipt-id')).toBe('nacked')
  await expectNothingElse(session)
})

test('1.1: refuses ACK without subscription and SUBSCRIBE without id', async () => {
  const first = await openSessionOfNewMember('1.1')
  sendFrame(first.session, 'ACK', { 'message-id': '1-1' })
  await expectRefused(first.session, 4400, 'ACK needs a subscription header')
  const second = await openSessionOfNewMember('1.1')
  sendFrame(second.session, 'SUBSCRIBE', { destination: '/topic/all' })
  await expectRefused(second.session, 4400, 'SUBSCRIBE needs an id header')
})

test('applies the ACKs of a transaction at COMMIT, and drops them at ABORT', async () => {
  const { session, publish, memberId } = await openSessionOfNewMember()
  await subscribe(session, 'a', '/member/queue/notification', { ack: 'client-individual' })
  for (const body of ['1', '2']) await publish(body)
  const acks = [(await nextMessage(session)).headers.get('ack') ?? '', (await nextMessage(session)).headers.get('ack') ?? '']
  const unacked = async () => {
    const response = await fetch(`http://127.0.0.1:${gateway.opsPort}/session?memberId=${memberId}`)
    const { sessions } = (await response.json()) as { sessions: { subscriptions: { unackedMessages: number }[] }[] }
    return sessions[0]?.subscriptions[0]?.unackedMessages
  }
  sendFrame(session, 'BEGIN', { transaction: 't' })
  sendFrame(session, 'BEGIN', { transaction: 'u' })
  sendFrame(session, 'ACK', { transaction: 't', id: acks[0] ?? '' })
  sendFrame(session, 'ACK', { transaction: 'u', id: acks[1] ?? '' })
  await expectNothingElse(session)
  expect(await unacked()).toBe(2)
  sendFrame(session, 'ABORT', { transaction: 'u' })
  sendFrame(session, 'COMMIT', { transaction: 't' })
  await expectNothingElse(session)
  expect(await unacked()).toBe(1)
})

test('limits the transactions of a session, and the frames and bytes in one', async () => {
  const { session } = await openSessionOfNewMember()
  for (let open = 1; open <= 9; open++) sendFrame(session, 'BEGIN', { transaction: `t${open}` })
  await expectRefused(session, 4400, 'more than 8 open transactions')
  const { session: other } = await openSessionOfNewMember()
  sendFrame(other, 'BEGIN', { transaction: 't' })
  for (let held = 1; held <= 33; held++) sendFrame(other, 'ACK', { transaction: 't', id: 'x', receipt: `${held}` })
  for (let held = 1; held <= 32; held++) expect((await other.nextFrame()).headers.get('receipt-id')).toBe(`${held}`)
  await expectRefused(other, 4400, 'more than 32 frames in a transaction', '33')
  const { session: heavy } = await openSessionOfNewMember()
  sendFrame(heavy, 'BEGIN', { transaction: 't' })
  const send = { transaction: 't', destination: '/publish/notification/read' }
  for (const receipt of ['1', '2']) sendFrame(heavy, 'SEND', { ...send, receipt }, 'x'.repeat(40_000))
  expect((await heavy.nextFrame()).headers.get('receipt-id')).toBe('1')
  await expectRefused(heavy, 4400, 'more than 65536 bytes in a transaction', '2')
  const { session: repeating } = await openSessionOfNewMember()
  sendFrame(repeating, 'BEGIN', { transaction: 't' })
  sendFrame(repeating, 'BEGIN', { transaction: 't' })
  await expectRefused(repeating, 4400, 'transaction t is open already')
})

test('pauses delivery at MAX_UNACKED_MESSAGES, and continues from the history once half of them are settled', async () => {
  const smallWindow = await stack.startGateway({ MAX_UNACKED_MESSAGES: '4' })
  const memberId = ++lastMember
  const session = await openSession(smallWindow, { memberId })
  const autoSession = await openSession(smallWindow, { memberId })
  await subscribe(session, 'a', '/member/queue/notification', { ack: 'client' })
  await subscribe(autoSession, 'a', '/member/queue/notification')
  const sent = Array.from({ length: 20 }, (_, index) => `${index}`)
  for (const body of sent) await stack.publisher.publish(`member:${memberId}:notification`, body)
  expect(await nextBodies(autoSession, 20)).toEqual(sent)
  const received: string[] = []
  /** Expects exactly `count` messages, and acknowledges those up to the index `ackedThrough`. */
  const readAndAck = async (count: number, ackedThrough: number) => {
    const batch: ServerFrame[] = []
    while (batch.length < count) batch.push(await nextMessage(session))
    await expectNothingElse(session)
    received.push(...batch.map((each) => each.body))
    sendFrame(session, 'ACK', { id: batch[ackedThrough]?.headers.get('ack') ?? '' })
  }
  await readAndAck(4, 0)
  await expectNothingElse(session)
  sendFrame(session, 'ACK', { id: `${await stack.publisher.appendToHistory(`member:${memberId}:other`, '')}@a` }) // was never sent, so it settles nothing
  await expectNothingElse(session)
  // Delivery continues when half of the window is free, which the second of the four messages brings about.
  const second = [...session.received].filter((each) => each.startsWith('MESSAGE'))[1]
  sendFrame(session, 'ACK', { id: /\nack:(.*)\n/.exec(second ?? '')?.[1] ?? '' })
  await readAndAck(2, 1)
  await readAndAck(4, 3)
  await readAndAck(4, 3)
  await readAndAck(4, 3)
  await readAndAck(2, 1)
  expect(received).toEqual(sent)
})

test('sends a MESSAGE with exactly these bytes', async () => {
  const { session, publish } = await openSessionOfNewMember()
  await subscribe(session, '0', '/member/queue/notification')
  const body = '{"memberId": 1, "notificationId": 12345, "message": "새로운 알림이 도착했습니다.", "redirectPath": "/dashboard"}'
  const position = await publish(body)
  await nextMessage(session)
  expect(session.received.at(-1)).toBe(
    `MESSAGE\nsubscription:0\nmessage-id:${position}\ndestination:/member/queue/notification\ncontent-type:application/json\n` +
      `content-length:124\nack:${position}@0\n\n${body}\0`,
  )
})

test.each([0, 1, 100, 125, 126, 1_000, 65_000, 65_535, 65_536, 200_000])('delivers a body of %i bytes', async (length) => {
  const { session, publish } = await openSessionOfNewMember()
  await subscribe(session, '0', '/member/queue/notification')
  const body = 'x'.repeat(length)
  await publish(body)
  expect((await nextMessage(session)).body).toBe(body)
})

test('delivers a payload without a position, and resumes after it', async () => {
  const { session, memberId, publish } = await openSessionOfNewMember()
  await subscribe(session, '0', '/member/queue/notification')
  const position = await publish('1')
  await stack.publisher.publishRaw(`member:${memberId}:notification`, '{"plain":true}')
  await nextMessage(session)
  const withoutPosition = await nextMessage(session)
  expect([withoutPosition.body, withoutPosition.headers.get('message-id')]).toEqual([
    '{"plain":true}',
    expect.stringMatching(`^${position}\\.\\d+$`),
  ])
  await publish('2')
  await nextMessage(session)
  const receipt = await subscribe(session, '1', '/member/queue/notification', {
    'last-message-id': withoutPosition.headers.get('message-id') ?? '',
  })
  expect(receipt.headers.get('recovered')).toBe('true')
  expect((await nextMessage(session)).body).toBe('2')
})

test('replaces invalid UTF-8 in a body, live and from the history, and keeps the session open', async () => {
  const { session, memberId, publish } = await openSessionOfNewMember()
  const { headers } = await subscribe(session, '0', '/member/queue/notification')
  await stack.publisher.publishRaw(`member:${memberId}:notification`, Buffer.from([0x7b, 0xff, 0x7d]))
  expect((await nextMessage(session)).body).toBe('{\ufffd}')
  const position = await publish('1')
  await stack.publisher.redis.rpush(
    `{member:${memberId}:notification}:history`,
    Buffer.concat([Buffer.from(`${position.split('-')[0]}-2\n`), Buffer.from([0xc3, 0x28])]),
  )
  await publish('3')
  expect(await nextBodies(session, 3)).toEqual(['1', '\ufffd(', '3'])
  await subscribe(session, '1', '/member/queue/notification', { 'last-message-id': headers.get('position') ?? '' })
  expect(await nextBodies(session, 3)).toEqual(['1', '\ufffd(', '3'])
})
