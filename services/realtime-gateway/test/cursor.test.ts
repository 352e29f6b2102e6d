import { type Position, type Publication, parsePosition } from '@tidings/protocol'
import { expect, test } from 'vitest'
import { waitFor } from '@tidings/local'
import type { History, HistoryPage } from '../src/redis/broker.ts'
import { Cursor } from '../src/channel/cursor.ts'

/** A history whose reads stay pending until the test completes them. */
class ScriptedHistory implements History {
  readonly pendingReads: { readonly after: string; readonly complete: (page: Partial<HistoryPage>) => void }[] = []

  after(_channel: string, { epoch, offset }: Position): Promise<HistoryPage> {
    return new Promise((resolve) => {
      const complete = (page: Partial<HistoryPage>) =>
        resolve({ publications: [], whole: true, last: page.publications?.at(-1)?.position ?? { epoch, offset }, ...page })
      this.pendingReads.push({ after: `${epoch}-${offset}`, complete })
    })
  }

  /** Waits for a read after this position, and resolves to the function that completes it. */
  async nextRead(after: string): Promise<(page: Partial<HistoryPage>) => void> {
    const read = await waitFor(() => this.pendingReads.shift(), { what: `a read after ${after}`, deadlineMs: 20_000 })
    expect(read.after).toBe(after)
    return read.complete
  }
}

function publication(text: string): Publication {
  return { position: parsePosition(text), body: Buffer.from(text) }
}

const publications = (...texts: string[]) => texts.map(publication)

/** Starts a cursor at this position. `seen` records deliveries and gaps; a body without a position is in parentheses. */
function startCursor(position: string, deliver: (text: string) => void | Promise<void> = () => {}) {
  const history = new ScriptedHistory()
  const seen: string[] = []
  const sink = {
    ended: false,
    deliver({ body, position: own }: Publication) {
      const text = Buffer.from(body).toString()
      seen.push(own ? text : `(${text})`)
      return deliver(text)
    },
    gap: () => void seen.push('gap'),
  }
  const cursor = new Cursor('member:1:notification', parsePosition(position) as Position, history, sink)
  const receive = (...texts: string[]) => publications(...texts).forEach((each) => cursor.receive(each))
  const untilLive = () => waitFor(() => !cursor.catchingUp, { what: 'live delivery', deadlineMs: 20_000 })
  return { cursor, history, seen, sink, receive, untilLive }
}

test('delivers publications in sequence and drops repeats without reading the history', () => {
  const { history, seen, receive } = startCursor('1-5')
  receive('1-6', '1-7', '1-7', '1-6', '1-5', '1-8')
  expect(seen).toEqual(['1-6', '1-7', '1-8'])
  expect(history.pendingReads).toEqual([])
})

test('delivers a publication without a position, and the first of a new epoch after a gap', () => {
  const { seen, receive } = startCursor('1-5')
  receive('{}', '2-1', '2-2')
  expect(seen).toEqual(['({})', 'gap', '2-1', '2-2'])
})

test('delivers the first publication of a channel that was empty without a gap', () => {
  const { seen, receive } = startCursor('1-0')
  receive('2-1', '2-2')
  expect(seen).toEqual(['2-1', '2-2'])
})

test('reads missed publications from the history, holds live ones during the read, and delivers each once', async () => {
  const { history, seen, receive, untilLive } = startCursor('1-1')
  receive('1-4', '1-5')
  const completeRead = await history.nextRead('1-1')
  expect(seen).toEqual([])
  completeRead({ publications: publications('1-2', '1-3', '1-4', '1-5') })
  receive('1-6')
  await untilLive()
  receive('1-7')
  expect(seen).toEqual(['1-2', '1-3', '1-4', '1-5', '1-6', '1-7'])
})

test('reads the history again for publications that are missed during a read', async () => {
  const { history, seen, receive, untilLive } = startCursor('1-1')
  receive('1-3')
  const completeRead = await history.nextRead('1-1')
  receive('1-5')
  completeRead({ publications: publications('1-2', '1-3') })
  ;(await history.nextRead('1-3'))({ publications: publications('1-4', '1-5') })
  await untilLive()
  expect(seen).toEqual(['1-2', '1-3', '1-4', '1-5'])
})

test('delivers a publication whose position is not in the history without one, and keeps its own position', async () => {
  const { cursor, history, seen, receive, untilLive } = startCursor('1-5')
  receive('1-90')
  ;(await history.nextRead('1-5'))({ last: { epoch: 1, offset: 5 } })
  await untilLive()
  expect([seen, cursor.position]).toEqual([['(1-90)'], { epoch: 1, offset: 5 }])
  receive('1-6')
  expect([seen, history.pendingReads]).toEqual([['(1-90)', '1-6'], []])
})

test('adopts a position that jumps when there is no history, with one read and one gap', async () => {
  const { history, seen, receive, untilLive } = startCursor('1-5')
  receive('1-90')
  ;(await history.nextRead('1-5'))({ whole: false, last: { epoch: 3, offset: 0 } })
  await untilLive()
  receive('1-91', '1-92')
  expect([seen, history.pendingReads]).toEqual([['gap', '1-90', '1-91', '1-92'], []])
})

test('reports a gap when the history is gone, and continues from its newest position', async () => {
  const { cursor, history, seen, untilLive } = startCursor('1-5')
  void cursor.catchUp()
  ;(await history.nextRead('1-5'))({ whole: false, last: { epoch: 9, offset: 0 } })
  await untilLive()
  expect([seen, cursor.position]).toEqual([['gap'], { epoch: 9, offset: 0 }])
})

test('reports no gap when the history expired while the cursor was live', async () => {
  const { cursor, history, seen, receive, untilLive } = startCursor('1-5')
  receive('1-6')
  const lostAt = Date.now() + 86_400_000 + 1_000
  cursor.expire(Date.now())
  expect(cursor.position).toEqual({ epoch: 1, offset: 6 })
  cursor.expire(lostAt)
  void cursor.catchUp()
  // The epoch of an empty channel at that time, in the run of Redis that gave epoch 1.
  ;(await history.nextRead(`${lostAt}01-0`))({ publications: publications(`${lostAt + 1}-1`) })
  await untilLive()
  expect(seen).toEqual(['1-6', `${lostAt + 1}-1`])
})

test('reports a gap and delivers the rest when the history no longer reaches back', async () => {
  const { cursor, history, seen, untilLive } = startCursor('1-5')
  void cursor.catchUp()
  ;(await history.nextRead('1-5'))({ whole: false, publications: publications('1-8', '1-9') })
  await untilLive()
  expect([seen, cursor.position]).toEqual([['gap', '1-8', '1-9'], { epoch: 1, offset: 9 }])
})

test('reads the history again when a reconnect happens during a read', async () => {
  const { cursor, history, seen, untilLive } = startCursor('1-1')
  void cursor.catchUp()
  const completeRead = await history.nextRead('1-1')
  void cursor.catchUp()
  completeRead({ publications: publications('1-2') })
  ;(await history.nextRead('1-2'))({ publications: publications('1-3') })
  await untilLive()
  expect([seen, history.pendingReads]).toEqual([['1-2', '1-3'], []])
})

test('reads live publications beyond the buffer from the history, and keeps one without a position', async () => {
  const { history, seen, receive, untilLive } = startCursor('1-0')
  receive('1-2')
  const completeRead = await history.nextRead('1-0')
  receive('{}')
  const all = Array.from({ length: 90 }, (_, index) => `1-${index + 1}`)
  receive(...all.slice(2))
  completeRead({ publications: publications('1-1', '1-2') })
  ;(await history.nextRead('1-2'))({ publications: publications(...all.slice(2)) })
  await untilLive()
  expect(seen).toEqual([...all, '({})'])
})

test('reads a long history page by page', async () => {
  const { cursor, history, seen, untilLive } = startCursor('1-0')
  const all = Array.from({ length: 150 }, (_, index) => `1-${index + 1}`)
  void cursor.catchUp()
  ;(await history.nextRead('1-0'))({ publications: publications(...all.slice(0, 100)), last: { epoch: 1, offset: 150 } })
  ;(await history.nextRead('1-100'))({ publications: publications(...all.slice(100)) })
  await untilLive()
  expect(seen).toEqual(all)
})

test('pauses while the sink is busy, and then delivers the rest from the history', async () => {
  let resumeSink: (() => void) | undefined
  const { history, seen, receive, untilLive } = startCursor('1-0', (text) =>
    text === '1-2' ? new Promise((resolve) => (resumeSink = resolve)) : undefined,
  )
  receive('1-1', '1-2', '1-3')
  expect([seen, history.pendingReads]).toEqual([['1-1', '1-2'], []])
  resumeSink?.()
  const completeRead = await history.nextRead('1-2')
  receive('1-4', '1-5')
  completeRead({ publications: publications('1-3', '1-4') })
  await untilLive()
  expect(seen).toEqual(['1-1', '1-2', '1-3', '1-4', '1-5'])
})

test('delivers nothing to a sink that has ended', async () => {
  const { cursor, history, seen, sink } = startCursor('1-0')
  void cursor.catchUp()
  const completeRead = await history.nextRead('1-0')
  sink.ended = true
  completeRead({ publications: publications('1-1') })
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  expect([seen, history.pendingReads]).toEqual([[], []])
})

test('delivers live publications that arrive before the start position is known and that it already includes', async () => {
  const { cursor, history, seen, receive, untilLive } = startCursor('0-0')
  cursor.awaitStart()
  receive('1-6', '{}')
  cursor.startAt({ epoch: 1, offset: 6 })
  ;(await history.nextRead('1-5'))({ publications: publications('1-6') })
  await untilLive()
  expect([seen, cursor.position]).toEqual([['1-6', '({})'], { epoch: 1, offset: 6 }])
})

test('delivers a publication without a position that arrives before the start position is known, without a read', async () => {
  const { cursor, history, seen, receive, untilLive } = startCursor('0-0')
  cursor.awaitStart()
  receive('{}')
  cursor.startAt({ epoch: 1, offset: 0 })
  expect(seen).toEqual([])
  await untilLive()
  expect([seen, history.pendingReads]).toEqual([['({})'], []])
})

test('starts without a read when nothing arrived before the start position was known', () => {
  const { cursor, history, seen, receive } = startCursor('0-0')
  cursor.awaitStart()
  cursor.startAt({ epoch: 1, offset: 6 })
  receive('1-7')
  expect([seen, history.pendingReads]).toEqual([['1-7'], []])
})

test('reads the history after the start when a reconnect happened before the start position was known', async () => {
  const { cursor, history, seen, untilLive } = startCursor('0-0')
  cursor.awaitStart()
  void cursor.catchUp()
  cursor.startAt({ epoch: 1, offset: 6 })
  ;(await history.nextRead('1-6'))({ publications: publications('1-7') })
  ;(await history.nextRead('1-7'))({})
  await untilLive()
  expect(seen).toEqual(['1-7'])
})
