import { openLog } from '@tidings/chassis'
import { type Position, parsePosition } from '@tidings/protocol'
import { startRedis, waitFor } from '@tidings/local'
import { expect, onTestFinished, test } from 'vitest'
import { Cursor } from '../src/channel/cursor.ts'
import { ReplayLane } from '../src/channel/replay-lane.ts'
import type { History, HistoryPage } from '../src/redis/broker.ts'
import { hasMore } from '../src/redis/history-page.ts'
import { RedisBroker } from '../src/redis/redis-broker.ts'
import { openPublisher } from './fixture/publisher.ts'

const historyLength = 30
const largestRead = 10

/** A client whose unread bytes the test sets. */
class ScriptedOutlet {
  bufferedBytes = 0
  #drained: Promise<void> | undefined = undefined
  #onDrained: () => void = () => {}

  send(): void {}

  async sendSnapshot(): Promise<void> {}

  drained(): Promise<void> {
    if (this.bufferedBytes === 0) return Promise.resolve()
    this.#drained ??= new Promise((resolve) => (this.#onDrained = resolve))
    return this.#drained
  }

  read(): void {
    this.bufferedBytes = 0
    this.#drained = undefined
    this.#onDrained()
  }
}

/** A history of `historyLength` publications for every channel, which records the channels that are read. */
class RecordingHistory implements History {
  readonly readers: string[] = []
  reading = 0
  mostReading = 0

  async after(channel: string, { offset }: Position, limit: number): Promise<HistoryPage> {
    this.readers.push(channel)
    this.reading++
    this.mostReading = Math.max(this.mostReading, this.reading)
    await new Promise(setImmediate)
    this.reading--
    const end = Math.min(historyLength, offset + Math.min(limit, largestRead))
    const publications = Array.from({ length: end - offset }, (_, index) => ({
      position: { epoch: 1, offset: offset + index + 1 },
      body: Buffer.from('{}'),
    }))
    return { publications, whole: true, last: { epoch: 1, offset: historyLength } }
  }
}

function startSession() {
  const outlet = new ScriptedOutlet()
  const lane = new ReplayLane(outlet, 100)
  const history = new RecordingHistory()
  /** Starts a replay. `deliver` returns what the sink waits for. */
  const replay = (channel: string, deliver: (offset: number) => void | Promise<void> = () => {}) => {
    const sink = {
      ended: false,
      received: [] as number[],
      deliver({ position }: { position: Position | undefined }) {
        sink.received.push(position?.offset ?? 0)
        return deliver(position?.offset ?? 0)
      },
      gap: () => {},
    }
    const cursor = new Cursor(channel, parsePosition('1-0') as Position, history, sink, lane)
    return { sink, caughtUp: cursor.catchUp() }
  }
  return { outlet, lane, history, replay }
}

const everything = Array.from({ length: historyLength }, (_, index) => index + 1)

test('the replays of a session take turns, one page at a time', async () => {
  const { history, replay } = startSession()
  const replays = ['a', 'b', 'c'].map((channel) => replay(channel))
  await Promise.all(replays.map(({ caughtUp }) => caughtUp))
  for (const { sink } of replays) expect(sink.received).toEqual(everything)
  expect(history.mostReading).toBe(1)
  expect(history.readers.join('')).toBe('abcabcabc')
})

test('reads nothing while the client has too much unread, and then everything', async () => {
  const { outlet, history, replay } = startSession()
  const { sink, caughtUp } = replay('a', (offset) => {
    if (offset !== 5) return undefined
    outlet.bufferedBytes = 101
    return outlet.drained()
  })
  await waitFor(() => sink.received.length === 5, { what: 'the first five', deadlineMs: 20_000 })
  const other = replay('b')
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  expect(history.readers).toEqual(['a'])
  outlet.read()
  await Promise.all([caughtUp, other.caughtUp])
  expect([sink.received, other.sink.received]).toEqual([everything, everything])
})

test('a replay that waits for ACK, or whose subscription has ended, delays no other', async () => {
  const { outlet, replay } = startSession()
  const waiting = replay('waiting', (offset) => (offset === 3 ? new Promise(() => {}) : undefined))
  const ended = replay('ended')
  ended.sink.ended = true
  const other = replay('other')
  await Promise.all([ended.caughtUp, other.caughtUp])
  expect([waiting.sink.received, ended.sink.received, other.sink.received]).toEqual([[1, 2, 3], [], everything])
  // The session ends while a replay has its turn and waits for the client.
  outlet.bufferedBytes = 101
  const last = replay('last')
  const next = replay('next')
  last.sink.ended = true
  next.sink.ended = true
  outlet.read()
  await Promise.all([last.caughtUp, next.caughtUp])
  expect([last.sink.received, next.sink.received]).toEqual([[], []])
})

test('a turn that fails ends', async () => {
  const { lane } = startSession()
  const failing = lane.run(() => Promise.reject(new Error('failed')))
  const next = lane.run(async () => 'done')
  await expect(failing).rejects.toThrow('failed')
  expect(await next).toBe('done')
})

test('a page of history ends by bytes, with at least one publication', async () => {
  const redis = await startRedis()
  onTestFinished(async () => void (await redis.kill()))
  const publisher = openPublisher(redis.url)
  const broker = new RedisBroker({ url: redis.url, prefix: '' }, openLog('realtime-gateway', 'fatal'))
  onTestFinished(() => {
    publisher.close()
    return broker.close()
  })
  const lengths = [400_000, 100_000, 100_000, 100_000, 100_000, 10]
  for (const length of lengths) await publisher.publish('broadcast:all', 'x'.repeat(length))
  const pages: number[][] = []
  let position: Position = { epoch: 0, offset: 0 }
  for (;;) {
    const page = await broker.history.after('broadcast:all', position, 100)
    pages.push(page.publications.map(({ body }) => body.length))
    position = page.publications.at(-1)?.position ?? position
    if (!hasMore(page)) break
  }
  expect(pages).toEqual([[400_000], [100_000, 100_000, 100_000], [100_000, 10]])
})
