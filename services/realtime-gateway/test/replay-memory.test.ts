import { type RawSession, type ServiceProcess, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type GatewayStack,
  nextMessage,
  numberStrings,
  openSession,
  readMetric,
  sendFrame,
  startGatewayStack,
} from './fixture/gateway.ts'
import { heapSnapshots } from './fixture/heap-snapshot.ts'

const historyLength = 500
const subscriptions = numberStrings(1, 24)
const texts = numberStrings(1, historyLength)
const padding = 'x'.repeat(3_900)
/** Default of MAX_BUFFERED_BYTES: no session may hold more than this outside of the heap. */
const maxSessionBytes = 1_048_576
const maxUnacked = 10

const snapshots = heapSnapshots()
let stack: GatewayStack
let gateway: ServiceProcess
let memberId = 0

beforeAll(async () => {
  stack = await startGatewayStack()
  gateway = await stack.startGateway({
    ...snapshots.env,
    MAX_BUFFERED_MS: '600000',
    HEART_BEAT_MS: '600000',
    MAX_FRAMES_PER_SECOND: '10000',
    MAX_UNACKED_MESSAGES: String(maxUnacked),
  })
  for (const text of texts) await stack.publisher.publish('broadcast:all', `${text} ${padding}`, historyLength)
})
afterAll(async () => {
  await stack.close()
  snapshots.close()
})

/** Resolves to the bytes that the gateway holds outside of the heap, after a garbage collection. */
async function externalBytes(): Promise<number> {
  await snapshots.take(gateway.pid)
  return readMetric(gateway, 'nodejs_external_memory_bytes')
}

/** Opens sessions of one member. */
function openSessions(count: number): Promise<RawSession[]> {
  memberId++
  return Promise.all(Array.from({ length: count }, () => openSession(gateway, { memberId })))
}

/** Resumes `/topic/all` from before its history. */
function resume(session: RawSession, id: string, ack = 'auto'): void {
  sendFrame(session, 'SUBSCRIBE', { id, destination: '/topic/all', ack, receipt: id, 'last-message-id': '1-1' })
}

async function waitForResumes(count: number): Promise<void> {
  await waitFor(async () => (await readMetric(gateway, 'resumes_total{recovered="false"}')) >= count, {
    what: `${count} resumed subscriptions`,
    deadlineMs: 60_000,
  })
}

/** Reads messages until each subscription has the whole history, and returns their numbers by subscription. */
async function readHistories(session: RawSession, ids: readonly string[], ack = false): Promise<Map<string, string[]>> {
  const received = new Map(ids.map((id) => [id, [] as string[]]))
  while (ids.some((id) => (received.get(id)?.length ?? 0) < historyLength)) {
    const { command, headers, body } = await session.nextFrame(60_000)
    if (command !== 'MESSAGE') continue
    received.get(headers.get('subscription') ?? '')?.push(body.split(' ')[0] ?? '')
    if (ack) sendFrame(session, 'ACK', { id: headers.get('ack') ?? '' })
  }
  return received
}

test('holds a bounded part of the history for sessions that resume it many times and do not read', {
  timeout: 180_000,
}, async () => {
  const before = await externalBytes()
  const resumesBefore = await readMetric(gateway, 'resumes_total{recovered="false"}')
  const sessions = await openSessions(3)
  for (const session of sessions) {
    session.socket.pause()
    for (const id of subscriptions) resume(session, id)
  }
  await waitForResumes(resumesBefore + sessions.length * subscriptions.length)
  expect((await externalBytes()) - before).toBeLessThan(sessions.length * maxSessionBytes)

  // Nothing is lost when the client reads on, although one of the replays ends early.
  const [session] = sessions as [RawSession, ...RawSession[]]
  const [first = '', ...others] = subscriptions
  sendFrame(session, 'UNSUBSCRIBE', { id: first })
  session.socket.resume()
  for (const received of (await readHistories(session, others)).values()) expect(received).toEqual(texts)
  for (const each of sessions) each.socket.terminate()
})

test('holds no part of the history for subscriptions that wait for ACK, and delays no other subscription of the session', {
  timeout: 180_000,
}, async () => {
  const before = await externalBytes()
  const [session] = (await openSessions(1)) as [RawSession]
  for (const id of subscriptions) resume(session, id, 'client-individual')
  resume(session, 'auto')
  // Of the first sort the session gets `maxUnacked` messages each, and all of the other one.
  const held: string[] = []
  const received: string[] = []
  while (held.length < subscriptions.length * maxUnacked || received.length < historyLength) {
    const { command, headers, body } = await session.nextFrame(60_000)
    if (command !== 'MESSAGE') continue
    if (headers.get('subscription') === 'auto') received.push(body.split(' ')[0] ?? '')
    else held.push(headers.get('ack') ?? '')
  }
  expect(received).toEqual(texts)
  expect((await externalBytes()) - before).toBeLessThan(maxSessionBytes)

  for (const id of held) sendFrame(session, 'ACK', { id })
  const rest = new Map<string, string[]>()
  for (let count = 0; count < subscriptions.length * (historyLength - maxUnacked); count++) {
    const { headers, body } = await nextMessage(session, 60_000)
    const id = headers.get('subscription') ?? ''
    rest.set(id, [...(rest.get(id) ?? []), body.split(' ')[0] ?? ''])
    sendFrame(session, 'ACK', { id: headers.get('ack') ?? '' })
  }
  for (const numbers of rest.values()) expect(numbers).toEqual(texts.slice(maxUnacked))
  session.socket.terminate()
})
