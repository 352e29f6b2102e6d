import { connectStomp, memberToken, openRawSession, type RawSession, type ServerFrame, type ServiceProcess } from '@tidings/local'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Bed, bodies, connected, message, nothingElse, openBed, sendFrame, subscribed } from './fixture/gateway.ts'

let bed: Bed
let gateway: ServiceProcess
let lastMember = 100

beforeAll(async () => {
  bed = await openBed()
  gateway = await bed.gateway({ MAX_SUBSCRIPTIONS_PER_SESSION: '4' })
})
afterAll(() => bed.close())

/** A member of its own, so that channels of two tests have nothing in common. */
async function browser(version = '1.2') {
  const memberId = ++lastMember
  const session = await connected(gateway, { memberId, version })
  const publish = (body: string, queue = 'notification') => bed.publisher.publish(`member:${memberId}:${queue}`, body)
  return { session, memberId, publish }
}

async function unconnected(): Promise<RawSession> {
  return (await openRawSession(gateway.url, { token: memberToken(1) })) as RawSession
}

async function expectRefused(session: RawSession, code: number, said: string | RegExp, receiptId?: string): Promise<void> {
  const error = await session.nextFrame()
  expect(error.command).toBe('ERROR')
  expect(error.headers.get('message')).toMatch(said)
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
  ])('accept-version:%s is spoken as %s', async (accepted, version) => {
    const { session, connected: frame } = await connectStomp(gateway.url, { memberId: 7, version: accepted })
    expect(frame.headers.get('version')).toBe(version)
    await session.leaves()
  })

  test('CONNECTED says who, until when, and how we beat', async () => {
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

  test('1.0 has no heart-beats', async () => {
    const { connected: frame } = await connectStomp(gateway.url, { version: '1.0', heartBeat: '1000,1000' })
    expect(frame.headers.get('heart-beat')).toBe('0,0')
  })

  test('STOMP is another CONNECT, and login, passcode and receipt mean nothing', async () => {
    const session = await unconnected()
    sendFrame(session, 'STOMP', { 'accept-version': '1.2', host: 'x', login: 'admin', passcode: 'y', receipt: 'r' })
    expect((await session.nextFrame()).headers.get('user-name')).toBe('1')
    await nothingElse(session)
  })

  test('without accept-version it is 1.0', async () => {
    const session = await unconnected()
    sendFrame(session, 'CONNECT')
    expect((await session.nextFrame()).headers.get('version')).toBe('1.0')
  })

  test('no version in common', async () => {
    const session = await unconnected()
    sendFrame(session, 'CONNECT', { 'accept-version': '1.3,2.0' })
    await expectRefused(session, 4400, 'supported versions are 1.2, 1.1, 1.0')
  })

  test.each(['10', '-1,0', 'a,b', '1,2,3', ''])('heart-beat:%s is refused', async (heartBeat) => {
    const session = await unconnected()
    sendFrame(session, 'CONNECT', { 'accept-version': '1.2', 'heart-beat': heartBeat })
    await expectRefused(session, 4400, 'heart-beat')
  })

  test('once only', async () => {
    const { session } = await browser()
    sendFrame(session, 'CONNECT', { 'accept-version': '1.2', receipt: 'again' })
    await expectRefused(session, 4400, 'already connected', 'again')
  })

  test('first of all', async () => {
    const session = await unconnected()
    sendFrame(session, 'SUBSCRIBE', { id: '0', destination: '/topic/all', receipt: 'r' })
    await expectRefused(session, 4400, 'the first frame must be CONNECT', 'r')
  })

  test('what follows it in the same message is in the settled version', async () => {
    const session = await unconnected()
    session.sends('CONNECT\naccept-version:1.2\n\n\0\n\nBEGIN\r\ntransaction:a\\cb\r\nreceipt:c\\cd\r\n\r\n\0')
    expect((await session.nextFrame()).command).toBe('CONNECTED')
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('c:d')
    expect(session.received.at(-1)).toBe('RECEIPT\nreceipt-id:c\\cd\n\n\0')
  })

  test('frames may be cut anywhere, and be binary messages', async () => {
    const session = await unconnected()
    for (const octet of Buffer.from('CONNECT\naccept-version:1.1\n\n\0')) session.sends(Uint8Array.of(octet))
    expect((await session.nextFrame()).headers.get('version')).toBe('1.1')
  })
})

describe.each(['1.0', '1.1', '1.2'])('%s', (version) => {
  test('SUBSCRIBE, MESSAGE, UNSUBSCRIBE', async () => {
    const { session, publish } = await browser(version)
    const receipt = await subscribed(session, 'a', '/member/queue/notification')
    expect(receipt.headers.get('position')).toMatch(/^\d{13}-0$/)
    const position = await publish('{"n":1}')
    const { headers, body } = await message(session)
    expect([...headers.keys()]).toEqual([
      'subscription',
      'message-id',
      'destination',
      'content-type',
      'content-length',
      ...(version === '1.2' ? ['ack'] : []),
    ])
    expect([headers.get('subscription'), headers.get('message-id'), body]).toEqual(['a', position, '{"n":1}'])
    sendFrame(session, 'UNSUBSCRIBE', { id: 'a', receipt: 'gone' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('gone')
    await publish('{"n":2}')
    // Redis answers the publisher before it writes to the gateway: what comes later on another channel says that it has.
    await subscribed(session, 'b', '/member/queue/read')
    await publish('{}', 'read')
    await message(session)
    await subscribed(session, 'a', '/member/queue/notification')
    await publish('{"n":3}')
    expect((await message(session)).body).toBe('{"n":3}')
    await nothingElse(session)
  })

  test('a subscription id with everything in it comes back as it was sent', async () => {
    const { session, publish } = await browser(version)
    const id = version === '1.0' ? 'é:한 x\\n' : 'é\\c한\\\\\\n x'
    const plain = version === '1.0' ? id : 'é:한\\\n x'
    expect((await subscribed(session, id, '/member/queue/notification')).headers.get('receipt-id')).toBe(`receipt-${plain}`)
    await publish('1')
    expect((await message(session)).headers.get('subscription')).toBe(plain)
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
  ])('%s %j is refused', async (command, headers, code, said) => {
    const { session } = await browser(version)
    sendFrame(session, command, { receipt: 'r-1', ...headers })
    await expectRefused(session, code, said, command === 'HELLO' ? undefined : 'r-1')
  })

  test('a second SUBSCRIBE with the same id is refused', async () => {
    const { session } = await browser(version)
    await subscribed(session, 'a', '/member/queue/notification')
    sendFrame(session, 'SUBSCRIBE', { id: 'a', destination: '/member/queue/read', receipt: 'r' })
    await expectRefused(session, 4400, 'there is a subscription with id a already', 'r')
  })

  test('the body of an ERROR names the frame', async () => {
    const { session } = await browser(version)
    sendFrame(session, 'UNSUBSCRIBE', { id: 'x' })
    expect((await session.nextFrame()).body).toBe('UNSUBSCRIBE was refused: there is no subscription with id x\n')
  })

  test('DISCONNECT is answered and closed', async () => {
    const { session } = await browser(version)
    sendFrame(session, 'DISCONNECT', { receipt: 'bye' })
    sendFrame(session, 'DISCONNECT', { receipt: 'too late' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('bye')
    expect((await session.closed()).code).toBe(1000)
    expect(session.framesWaiting).toBe(0)
  })

  test('receipts on all frames, strictly in order, whatever waits', async () => {
    const { session } = await browser(version)
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
    'ack:$mode',
    async ({ mode, settled }) => {
      const { session, memberId, publish } = await browser(version)
      await subscribed(session, 'a', '/member/queue/notification', { ack: mode })
      for (const body of ['1', '2', '3']) await publish(body)
      const messages = [await message(session), await message(session), await message(session)]
      const { headers } = messages[2] ?? { headers: new Map<string, string>() }
      const named =
        version === '1.2'
          ? { id: headers.get('ack') ?? '' }
          : { subscription: 'a', 'message-id': headers.get('message-id') ?? '' }
      sendFrame(session, 'ACK', { ...named, receipt: 'acked' })
      expect((await session.nextFrame()).headers.get('receipt-id')).toBe('acked')
      const response = await fetch(`http://127.0.0.1:${gateway.opsPort}/session?memberId=${memberId}`)
      expect(await response.json()).toMatchObject({
        sessions: [{ subscriptions: [{ ack: mode, unackedMessages: 3 - settled }] }],
      })
      sendFrame(session, 'ACK', { ...named, receipt: 'twice' })
      expect((await session.nextFrame()).headers.get('receipt-id')).toBe('twice')
    },
  )
})

test('the fifth subscription is one too many', async () => {
  const { session } = await browser()
  for (const id of ['1', '2', '3', '4']) await subscribed(session, id, `/topic/t${id}`)
  sendFrame(session, 'SUBSCRIBE', { id: '5', destination: '/topic/t5' })
  await expectRefused(session, 4400, 'more than 4 subscriptions')
})

describe('1.0', () => {
  test('the destination stands for a missing id', async () => {
    const { session, publish } = await browser('1.0')
    sendFrame(session, 'SUBSCRIBE', { destination: '/member/queue/notification', receipt: 'r' })
    await session.nextFrame()
    const position = await publish('1')
    const { headers } = await message(session)
    expect([...headers.keys()]).toEqual(['message-id', 'destination', 'content-type', 'content-length'])
    sendFrame(session, 'ACK', { 'message-id': position, receipt: 'acked' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('acked')
    sendFrame(session, 'UNSUBSCRIBE', { destination: '/member/queue/notification', receipt: 'gone' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('gone')
    await publish('2')
    await nothingElse(session)
  })

  test('UNSUBSCRIBE by destination finds a subscription with an id', async () => {
    const { session } = await browser('1.0')
    await subscribed(session, 'x', '/member/queue/notification')
    sendFrame(session, 'UNSUBSCRIBE', { destination: '/member/queue/notification', receipt: 'gone' })
    expect((await session.nextFrame()).headers.get('receipt-id')).toBe('gone')
  })

  test('sends a subscription header for an empty id, and none for a missing id', async () => {
    const { session: withoutId, memberId, publish } = await browser('1.0')
    const withEmptyId = await connected(gateway, { memberId, version: '1.0' })
    for (const [session, id] of [
      [withoutId, {}],
      [withEmptyId, { id: '' }],
    ] as const) {
      sendFrame(session, 'SUBSCRIBE', { ...id, destination: '/member/queue/notification', receipt: 'r' })
      expect((await session.nextFrame()).command).toBe('RECEIPT')
    }
    await publish('1')
    expect((await message(withoutId)).headers.get('subscription')).toBeUndefined()
    expect((await message(withEmptyId)).headers.get('subscription')).toBe('')
  })

  test('has no NACK', async () => {
    const { session } = await browser('1.0')
    sendFrame(session, 'NACK', { 'message-id': 'x' })
    await expectRefused(session, 4400, 'unknown command "NACK"')
  })
})

test.each(['1.1', '1.2'])('%s: NACK settles as ACK does, and nothing is sent again', async (version) => {
  const { session, publish } = await browser(version)
  await subscribed(session, 'a', '/member/queue/notification', { ack: 'client-individual' })
  await publish('1')
  const { headers } = await message(session)
  sendFrame(session, 'NACK', {
    ...(version === '1.2'
      ? { id: headers.get('ack') ?? '' }
      : { subscription: 'a', 'message-id': headers.get('message-id') ?? '' }),
    receipt: 'nacked',
  })
  expect((await session.nextFrame()).headers.get('receipt-id')).toBe('nacked')
  await nothingElse(session)
})

test('1.1: ACK needs the subscription, SUBSCRIBE the id', async () => {
  const first = await browser('1.1')
  sendFrame(first.session, 'ACK', { 'message-id': '1-1' })
  await expectRefused(first.session, 4400, 'ACK needs a subscription header')
  const second = await browser('1.1')
  sendFrame(second.session, 'SUBSCRIBE', { destination: '/topic/all' })
  await expectRefused(second.session, 4400, 'SUBSCRIBE needs an id header')
})

test('transactions: what waits in them takes effect at COMMIT, in order, and not after ABORT', async () => {
  const { session, publish, memberId } = await browser()
  await subscribed(session, 'a', '/member/queue/notification', { ack: 'client-individual' })
  for (const body of ['1', '2']) await publish(body)
  const acks = [(await message(session)).headers.get('ack') ?? '', (await message(session)).headers.get('ack') ?? '']
  const unacked = async () => {
    const response = await fetch(`http://127.0.0.1:${gateway.opsPort}/session?memberId=${memberId}`)
    const { sessions } = (await response.json()) as { sessions: { subscriptions: { unackedMessages: number }[] }[] }
    return sessions[0]?.subscriptions[0]?.unackedMessages
  }
  sendFrame(session, 'BEGIN', { transaction: 't' })
  sendFrame(session, 'BEGIN', { transaction: 'u' })
  sendFrame(session, 'ACK', { transaction: 't', id: acks[0] ?? '' })
  sendFrame(session, 'ACK', { transaction: 'u', id: acks[1] ?? '' })
  await nothingElse(session)
  expect(await unacked()).toBe(2)
  sendFrame(session, 'ABORT', { transaction: 'u' })
  sendFrame(session, 'COMMIT', { transaction: 't' })
  await nothingElse(session)
  expect(await unacked()).toBe(1)
})

test('transactions have bounds', async () => {
  const { session } = await browser()
  for (let open = 1; open <= 9; open++) sendFrame(session, 'BEGIN', { transaction: `t${open}` })
  await expectRefused(session, 4400, 'more than 8 open transactions')
  const { session: other } = await browser()
  sendFrame(other, 'BEGIN', { transaction: 't' })
  for (let held = 1; held <= 33; held++) sendFrame(other, 'ACK', { transaction: 't', id: 'x', receipt: `${held}` })
  for (let held = 1; held <= 32; held++) expect((await other.nextFrame()).headers.get('receipt-id')).toBe(`${held}`)
  await expectRefused(other, 4400, 'more than 32 frames in a transaction', '33')
  const { session: heavy } = await browser()
  sendFrame(heavy, 'BEGIN', { transaction: 't' })
  const send = { transaction: 't', destination: '/publish/notification/read' }
  for (const receipt of ['1', '2']) sendFrame(heavy, 'SEND', { ...send, receipt }, 'x'.repeat(40_000))
  expect((await heavy.nextFrame()).headers.get('receipt-id')).toBe('1')
  await expectRefused(heavy, 4400, 'more than 65536 bytes in a transaction', '2')
  const { session: third } = await browser()
  sendFrame(third, 'BEGIN', { transaction: 't' })
  sendFrame(third, 'BEGIN', { transaction: 't' })
  await expectRefused(third, 4400, 'transaction t is open already')
})

test('the window of unacknowledged messages pauses delivery, which goes on from the history', async () => {
  const small = await bed.gateway({ MAX_UNACKED_MESSAGES: '4' })
  const memberId = ++lastMember
  const session = await connected(small, { memberId })
  const others = await connected(small, { memberId })
  await subscribed(session, 'a', '/member/queue/notification', { ack: 'client' })
  await subscribed(others, 'a', '/member/queue/notification')
  const sent = Array.from({ length: 20 }, (_, index) => `${index}`)
  for (const body of sent) await bed.publisher.publish(`member:${memberId}:notification`, body)
  expect(await bodies(others, 20)).toEqual(sent)
  const received: string[] = []
  const take = async (count: number, settledThrough: number) => {
    const batch: ServerFrame[] = []
    while (batch.length < count) batch.push(await message(session))
    await nothingElse(session)
    received.push(...batch.map((each) => each.body))
    sendFrame(session, 'ACK', { id: batch[settledThrough]?.headers.get('ack') ?? '' })
  }
  await take(4, 0)
  await nothingElse(session)
  sendFrame(session, 'ACK', { id: `${await bed.publisher.append(`member:${memberId}:other`, '')}@a` }) // never sent: settles nothing
  await nothingElse(session)
  // Half of the window must be free before it goes on; the second of the four frees it.
  const second = [...session.received].filter((each) => each.startsWith('MESSAGE'))[1]
  sendFrame(session, 'ACK', { id: /\nack:(.*)\n/.exec(second ?? '')?.[1] ?? '' })
  await take(2, 1)
  await take(4, 3)
  await take(4, 3)
  await take(4, 3)
  await take(2, 1)
  expect(received).toEqual(sent)
})

test('MESSAGE on the wire, octet by octet', async () => {
  const { session, publish } = await browser()
  await subscribed(session, '0', '/member/queue/notification')
  const body = '{"memberId": 1, "notificationId": 12345, "message": "새로운 알림이 도착했습니다.", "redirectPath": "/dashboard"}'
  const position = await publish(body)
  await message(session)
  expect(session.received.at(-1)).toBe(
    `MESSAGE\nsubscription:0\nmessage-id:${position}\ndestination:/member/queue/notification\ncontent-type:application/json\n` +
      `content-length:124\nack:${position}@0\n\n${body}\0`,
  )
})

test.each([0, 1, 100, 125, 126, 1_000, 65_000, 65_535, 65_536, 200_000])('a body of %i octets', async (length) => {
  const { session, publish } = await browser()
  await subscribed(session, '0', '/member/queue/notification')
  const body = 'x'.repeat(length)
  await publish(body)
  expect((await message(session)).body).toBe(body)
})

test('a payload without a position is delivered too, and can be resumed after', async () => {
  const { session, memberId, publish } = await browser()
  await subscribed(session, '0', '/member/queue/notification')
  const position = await publish('1')
  await bed.publisher.send(`member:${memberId}:notification`, '{"plain":true}')
  await message(session)
  const plain = await message(session)
  expect([plain.body, plain.headers.get('message-id')]).toEqual(['{"plain":true}', expect.stringMatching(`^${position}\\.\\d+$`)])
  await publish('2')
  await message(session)
  const receipt = await subscribed(session, '1', '/member/queue/notification', {
    'last-message-id': plain.headers.get('message-id') ?? '',
  })
  expect(receipt.headers.get('recovered')).toBe('true')
  expect((await message(session)).body).toBe('2')
})

test('octets that are no UTF-8 break nobody, live or from the history', async () => {
  const { session, memberId, publish } = await browser()
  const { headers } = await subscribed(session, '0', '/member/queue/notification')
  await bed.publisher.send(`member:${memberId}:notification`, Buffer.from([0x7b, 0xff, 0x7d]))
  expect((await message(session)).body).toBe('{\ufffd}')
  const position = await publish('1')
  await bed.publisher.redis.rpush(
    `{member:${memberId}:notification}:history`,
    Buffer.concat([Buffer.from(`${position.split('-')[0]}-2\n`), Buffer.from([0xc3, 0x28])]),
  )
  await publish('3')
  expect(await bodies(session, 3)).toEqual(['1', '\ufffd(', '3'])
  await subscribed(session, '1', '/member/queue/notification', { 'last-message-id': headers.get('position') ?? '' })
  expect(await bodies(session, 3)).toEqual(['1', '\ufffd(', '3'])
})
