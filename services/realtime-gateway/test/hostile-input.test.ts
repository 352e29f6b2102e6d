import { randomBytes, randomInt } from 'node:crypto'
import { connect } from 'node:net'
import { memberToken, openRawSession, type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type GatewayStack,
  nextBodies,
  openSession,
  readMetric,
  sendFrame,
  startGatewayStack,
  subscribe,
} from './fixture/gateway.ts'
import { heapSnapshots } from './fixture/heap-snapshot.ts'
import { seededRandom } from './fixture/seeded-random.ts'

let stack: GatewayStack
let gateway: ServiceProcess
let memberId = 0
const snapshots = heapSnapshots()
const seed = Number(process.env['TIDINGS_SEED'] ?? randomInt(1_000_000_000))
const next = seededRandom(seed)
const rounds = process.env['TIDINGS_LONG'] === '1' ? 20 : 2

beforeAll(async () => {
  stack = await startGatewayStack()
  gateway = await stack.startGateway({ ...snapshots.env, HEART_BEAT_MS: '5000' })
})
afterAll(async () => {
  await stack.close()
  snapshots.close()
})

/** Opens a WebSocket of a new member, without CONNECT. */
async function openRawSessionOfNewMember(): Promise<RawSession> {
  return (await openRawSession(gateway.url, { token: memberToken(++memberId) })) as RawSession
}

const validFrames = [
  'SUBSCRIBE\nid:0\ndestination:/member/queue/notification\nreceipt:r\n\n\0',
  'SEND\ndestination:/publish/notification/read\ncontent-length:20\n\n{"notificationId":1}\0',
  'ACK\nid:1-1@0\n\n\0',
  'BEGIN\ntransaction:t\n\n\0',
  'COMMIT\ntransaction:t\n\n\0',
  'UNSUBSCRIBE\nid:0\n\n\0',
]
const oneOf = <T>(choices: readonly T[]): T => choices[Math.floor(next() * choices.length)] as T

/** Returns one to three valid frames with up to five bytes changed, cut off at a random byte. */
function mutatedFrames(): Buffer {
  const frame = Buffer.from(oneOf(validFrames).repeat(1 + Math.floor(next() * 3)))
  for (let change = 0; change < 1 + next() * 4; change++) frame[Math.floor(next() * frame.length)] = Math.floor(next() * 256)
  return frame.subarray(0, 1 + Math.floor(next() * frame.length))
}

/** Input that an attacker with a valid cookie can send. CONNECT is sent before each but the first. */
const attacks: Record<string, (session: RawSession) => void> = {
  'random bytes': (session) => session.sends(randomBytes(1 + Math.floor(next() * 5_000))),
  'mutated frames': (session) => {
    for (let sent = 0; sent < 30; sent++) session.sends(mutatedFrames())
  },
  'header bombs': (session) => session.sends(`SEND\n${'a:b\n'.repeat(20_000)}\n\0`),
  'a header line without LF': (session) => session.sends(`SEND\nx:${'y'.repeat(100_000)}`),
  'incomplete frames': (session) => session.sends('SUBSCRIBE\nid:0\ndesti'),
  'invalid content-lengths': (session) =>
    session.sends(`SEND\ncontent-length:${oneOf(['9'.repeat(15), '65537', '-1', '1e9', '4294967296'])}\n\n`),
  'a body of 10 MB in one message': (session) => session.sends(`SEND\ndestination:/x\n\n${'z'.repeat(10_000_000)}\0`),
  'a body of 10 MB in 1,000 messages': (session) => {
    session.sends('SEND\ndestination:/x\ncontent-length:10000000\n\n')
    for (let sent = 0; sent < 1_000; sent++) session.sends('z'.repeat(10_000))
  },
  'thousands of SUBSCRIBEs': (session) => {
    for (let sent = 0; sent < 3_000; sent++) sendFrame(session, 'SUBSCRIBE', { id: `${sent}`, destination: `/topic/t${sent}` })
  },
  'thousands of SUBSCRIBEs in one message': (session) => {
    const frames = Array.from({ length: 1_500 }, (_, index) => `SUBSCRIBE\nid:${index}\ndestination:/topic/u${index}\n\n\0`)
    session.sends(frames.join(''))
  },
  'thousands of BEGINs': (session) => {
    for (let sent = 0; sent < 3_000; sent++) sendFrame(session, 'BEGIN', { transaction: `${sent}` })
  },
  'transactions filled to their limit': (session) => {
    for (let open = 0; open < 4; open++) {
      sendFrame(session, 'BEGIN', { transaction: `${open}` })
      for (let sent = 0; sent < 32; sent++) {
        sendFrame(session, 'SEND', { transaction: `${open}`, destination: '/publish/notification/read' }, 'x'.repeat(60_000))
      }
    }
  },
  'CRLF in echoed headers': (session) => {
    sendFrame(session, 'BEGIN', { transaction: 't', receipt: 'a\\r\\nMESSAGE\\nsubscription\\c0\\n\\nfake' })
    sendFrame(session, 'SUBSCRIBE', { id: '0\\n\\nMESSAGE\\r', destination: '/topic/x\\n', receipt: 'r' })
  },
  'heart-beats only': (session) => {
    for (let sent = 0; sent < 5_000; sent++) session.sends('\n')
  },
}

async function attack(name: string): Promise<void> {
  const session = await openRawSessionOfNewMember()
  session.socket.on('error', () => {})
  if (name !== 'random bytes') session.sends('CONNECT\naccept-version:1.2\n\n\0')
  attacks[name]?.(session)
  // The receipt of this BEGIN proves that the gateway has read everything, unless it has closed the session.
  session.sends('\nBEGIN\ntransaction:end\nreceipt:end\n\n\0')
  await Promise.race([session.closed(20_000), receiptOrSilence(session)])
  session.socket.terminate()
}

/** Resolves at the receipt of the last BEGIN, or after 500 ms of silence: an incomplete frame before the BEGIN swallows it. */
async function receiptOrSilence(session: RawSession): Promise<void> {
  for (;;) {
    const frame = await session.nextFrame(500).catch(() => undefined)
    if (!frame || frame.headers.get('receipt-id') === 'end') return
  }
}

test.each(Object.keys(attacks))(`keeps serving other sessions during an attack with %s (TIDINGS_SEED=${seed})`, async (name) => {
  const otherSession = await openSession(gateway, { memberId: 500_000 })
  await subscribe(otherSession, '0', '/member/queue/notification')
  for (let round = 0; round < rounds; round++) await attack(name)
  await stack.publisher.publish('member:500000:notification', name)
  expect(await nextBodies(otherSession, 1)).toEqual([name])
  await otherSession.leaves()
})

test('survives bytes that are not WebSocket frames, before and after the upgrade', async () => {
  for (let round = 0; round < 20 * rounds; round++) {
    const raw = connect(gateway.port, '127.0.0.1')
    raw.on('error', () => {}).resume()
    raw.write(next() < 0.5 ? randomBytes(500) : 'GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n')
    raw.end(randomBytes(100))
    await new Promise((resolve) => raw.once('close', resolve))
    const session = await openRawSessionOfNewMember()
    session.socket.on('error', () => {})
    const { _socket: socket } = session.socket as unknown as { _socket: { write(bytes: Uint8Array): void } }
    socket.write(randomBytes(1 + Math.floor(next() * 300)))
    session.socket.terminate()
  }
  await (await openSession(gateway, { memberId: 500_001 })).leaves()
})

test('escapes header values that it sends back, so that they cannot form another frame', async () => {
  const session = await openSession(gateway, { memberId: 500_002 })
  sendFrame(session, 'BEGIN', { transaction: 't', receipt: 'a\\r\\n\\n\\c\\\\b' })
  expect((await session.nextFrame()).headers.get('receipt-id')).toBe('a\r\n\n:\\b')
  expect(session.received.at(-1)).toBe('RECEIPT\nreceipt-id:a\\r\\n\\n\\c\\\\b\n\n\0')
  sendFrame(session, 'SUBSCRIBE', { id: '0', destination: '/x\\n\\nMESSAGE\\r\\n', receipt: 'b\\nc' })
  const error = await session.nextFrame()
  expect([error.command, error.headers.get('receipt-id')]).toEqual(['ERROR', 'b\nc'])
  expect(error.headers.get('message')).toMatch(/^no such destination: \/x\?\?MESSAGE\?\?;/)
})

test('releases the memory of all attacks to within 10 %, and accepts a new session afterwards', {
  timeout: 240_000,
}, async () => {
  const noSessionsLeft = async () =>
    (await readMetric(gateway, 'sessions')) === 0 && (await readMetric(gateway, 'channels')) === 0
  await waitFor(noSessionsLeft, { what: 'the last session and channel to end', deadlineMs: 60_000 })
  const names = Object.keys(attacks)
  const attackWave = async () => {
    for (let round = 0; round < rounds; round++) await Promise.all(names.map(attack))
    await waitFor(noSessionsLeft, { what: 'the last session and channel to end', deadlineMs: 60_000 })
  }
  const heapBytes = async () => {
    await snapshots.take(gateway.pid) // runs a full garbage collection
    return readMetric(gateway, 'nodejs_heap_size_used_bytes')
  }
  await attackWave()
  const heapBefore = await heapBytes()
  await attackWave()
  expect((await heapBytes()) / heapBefore).toBeLessThan(1.1)
  const session = await openSession(gateway, { memberId: 500_003 })
  await subscribe(session, '0', '/topic/all')
  await stack.publisher.publish('broadcast:all', 'fresh')
  expect(await nextBodies(session, 1)).toEqual(['fresh'])
  expect(gateway.logs.filter((line) => line.includes('frame handler failed'))).toEqual([])
})
