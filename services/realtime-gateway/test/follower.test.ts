import { type Position, type Publication, parsePosition } from '@tidings/protocol'
import { expect, test } from 'vitest'
import { waitFor } from '@tidings/local'
import type { History, HistoryPage } from '../src/redis/broker.ts'
import { Cursor } from '../src/channel/cursor.ts'

/** A history whose reads are answered when the test says so. */
class ScriptedHistory implements History {
  readonly asked: { readonly after: string; readonly answer: (page: Partial<HistoryPage>) => void }[] = []

  after(_channel: string, { epoch, offset }: Position): Promise<HistoryPage> {
    return new Promise((resolve) => {
      const answer = (page: Partial<HistoryPage>) =>
        resolve({ publications: [], whole: true, last: page.publications?.at(-1)?.position ?? { epoch, offset }, ...page })
      this.asked.push({ after: `${epoch}-${offset}`, answer })
    })
  }

  async asks(after: string): Promise<(page: Partial<HistoryPage>) => void> {
    const read = await waitFor(() => this.asked.shift(), { what: `a read after ${after}`, deadlineMs: 20_000 })
    expect(read.after).toBe(after)
    return read.answer
  }
}

function publication(text: string): Publication {
  return { position: parsePosition(text), body: Buffer.from(text) }
}

const publications = (...texts: string[]) => texts.map(publication)

function following(position: string, deliver: (text: string) => void | Promise<void> = () => {}) {
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
  const follower = new Cursor('member:1:notification', parsePosition(position) as Position, history, sink)
  const receive = (...texts: string[]) => publications(...texts).forEach((each) => follower.receive(each))
  const live = () => waitFor(() => !follower.catchingUp, { what: 'being live', deadlineMs: 20_000 })
  return { follower, history, seen, sink, receive, live }
}

test('what follows is handed on, a repeat is not, and the history is not asked', () => {
  const { history, seen, receive } = following('1-5')
  receive('1-6', '1-7', '1-7', '1-6', '1-5', '1-8')
  expect(seen).toEqual(['1-6', '1-7', '1-8'])
  expect(history.asked).toEqual([])
})

test('what has no position is next; so is the first of a new epoch, with which something may have been lost', () => {
  const { seen, receive } = following('1-5')
  receive('{}', '2-1', '2-2')
  expect(seen).toEqual(['({})', 'gap', '2-1', '2-2'])
})

test('the first publication of a channel that stood empty is no gap', () => {
  const { seen, receive } = following('1-0')
  receive('2-1', '2-2')
  expect(seen).toEqual(['2-1', '2-2'])
})

test('a hole is read from the history; what comes meanwhile is held, and what both bring is handed on once', async () => {
  const { history, seen, receive, live } = following('1-1')
  receive('1-4', '1-5')
  const answer = await history.asks('1-1')
  expect(seen).toEqual([])
  answer({ publications: publications('1-2', '1-3', '1-4', '1-5') })
  receive('1-6')
  await live()
  receive('1-7')
  expect(seen).toEqual(['1-2', '1-3', '1-4', '1-5', '1-6', '1-7'])
})

test('a hole that opens while the history is read is read once more', async () => {
  const { history, seen, receive, live } = following('1-1')
  receive('1-3')
  const answer = await history.asks('1-1')
  receive('1-5')
  answer({ publications: publications('1-2', '1-3') })
  ;(await history.asks('1-3'))({ publications: publications('1-4', '1-5') })
  await live()
  expect(seen).toEqual(['1-2', '1-3', '1-4', '1-5'])
})

test('positions that the history never had are somebody else’s: handed on, and ours go on where they were', async () => {
  const { follower, history, seen, receive, live } = following('1-5')
  receive('1-90')
  ;(await history.asks('1-5'))({ last: { epoch: 1, offset: 5 } })
  await live()
  expect([seen, follower.position]).toEqual([['(1-90)'], { epoch: 1, offset: 5 }])
  receive('1-6')
  expect([seen, history.asked]).toEqual([['(1-90)', '1-6'], []])
})

test('where there is no history, positions that jump are followed, each with one read and one gap', async () => {
  const { history, seen, receive, live } = following('1-5')
  receive('1-90')
  ;(await history.asks('1-5'))({ whole: false, last: { epoch: 3, offset: 0 } })
  await live()
  receive('1-91', '1-92')
  expect([seen, history.asked]).toEqual([['gap', '1-90', '1-91', '1-92'], []])
})

test('a history that is gone is a gap; the follower goes on from its newest', async () => {
  const { follower, history, seen, live } = following('1-5')
  void follower.catchUp()
  ;(await history.asks('1-5'))({ whole: false, last: { epoch: 9, offset: 0 } })
  await live()
  expect([seen, follower.position]).toEqual([['gap'], { epoch: 9, offset: 0 }])
})

test('a history that expired while we were listening is no gap', async () => {
  const { follower, history, seen, receive, live } = following('1-5')
  receive('1-6')
  const lostAt = Date.now() + 86_400_000 + 1_000
  follower.expire(Date.now())
  expect(follower.position).toEqual({ epoch: 1, offset: 6 })
  follower.expire(lostAt)
  void follower.catchUp()
  ;(await history.asks(`${lostAt}-0`))({ publications: publications(`${lostAt + 1}-1`) })
  await live()
  expect(seen).toEqual(['1-6', `${lostAt + 1}-1`])
})

test('a history cut short is a gap and what is left', async () => {
  const { follower, history, seen, live } = following('1-5')
  void follower.catchUp()
  ;(await history.asks('1-5'))({ whole: false, publications: publications('1-8', '1-9') })
  await live()
  expect([seen, follower.position]).toEqual([['gap', '1-8', '1-9'], { epoch: 1, offset: 9 }])
})

test('a reconnect while the history is read makes it read again', async () => {
  const { follower, history, seen, live } = following('1-1')
  void follower.catchUp()
  const answer = await history.asks('1-1')
  void follower.catchUp()
  answer({ publications: publications('1-2') })
  ;(await history.asks('1-2'))({ publications: publications('1-3') })
  await live()
  expect([seen, history.asked]).toEqual([['1-2', '1-3'], []])
})

test('more than can be held is read from the history; what has no position is kept', async () => {
  const { history, seen, receive, live } = following('1-0')
  receive('1-2')
  const answer = await history.asks('1-0')
  receive('{}')
  const all = Array.from({ length: 90 }, (_, index) => `1-${index + 1}`)
  receive(...all.slice(2))
  answer({ publications: publications('1-1', '1-2') })
  ;(await history.asks('1-2'))({ publications: publications(...all.slice(2)) })
  await live()
  expect(seen).toEqual([...all, '({})'])
})

test('long histories are read page by page', async () => {
  const { follower, history, seen, live } = following('1-0')
  const all = Array.from({ length: 150 }, (_, index) => `1-${index + 1}`)
  void follower.catchUp()
  ;(await history.asks('1-0'))({ publications: publications(...all.slice(0, 100)) })
  ;(await history.asks('1-100'))({ publications: publications(...all.slice(100)) })
  await live()
  expect(seen).toEqual(all)
})

test('a sink that asks for patience gets the rest from the history', async () => {
  let goOn: (() => void) | undefined
  const { history, seen, receive, live } = following('1-0', (text) =>
    text === '1-2' ? new Promise((resolve) => (goOn = resolve)) : undefined,
  )
  receive('1-1', '1-2', '1-3')
  expect([seen, history.asked]).toEqual([['1-1', '1-2'], []])
  goOn?.()
  const answer = await history.asks('1-2')
  receive('1-4', '1-5')
  answer({ publications: publications('1-3', '1-4') })
  await live()
  expect(seen).toEqual(['1-1', '1-2', '1-3', '1-4', '1-5'])
})

test('a sink that has ended gets nothing more', async () => {
  const { follower, history, seen, sink } = following('1-0')
  void follower.catchUp()
  const answer = await history.asks('1-0')
  sink.ended = true
  answer({ publications: publications('1-1') })
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  expect([seen, history.asked]).toEqual([[], []])
})

test('what comes live before we know where the channel stands is handed on, though it is counted in', async () => {
  const { follower, history, seen, receive, live } = following('0-0')
  follower.awaitStart()
  receive('1-6', '{}')
  follower.startAt({ epoch: 1, offset: 6 })
  ;(await history.asks('1-5'))({ publications: publications('1-6') })
  await live()
  expect([seen, follower.position]).toEqual([['1-6', '({})'], { epoch: 1, offset: 6 }])
})

test('what has no position and comes that early is handed on without a read', async () => {
  const { follower, history, seen, receive, live } = following('0-0')
  follower.awaitStart()
  receive('{}')
  follower.startAt({ epoch: 1, offset: 0 })
  expect(seen).toEqual([])
  await live()
  expect([seen, history.asked]).toEqual([['({})'], []])
})

test('where nothing came meanwhile, the channel begins where it stands without another read', () => {
  const { follower, history, seen, receive } = following('0-0')
  follower.awaitStart()
  follower.startAt({ epoch: 1, offset: 6 })
  receive('1-7')
  expect([seen, history.asked]).toEqual([['1-7'], []])
})

test('a reconnect before we know where the channel stands is repaired afterwards', async () => {
  const { follower, history, seen, live } = following('0-0')
  follower.awaitStart()
  void follower.catchUp()
  follower.startAt({ epoch: 1, offset: 6 })
  ;(await history.asks('1-6'))({ publications: publications('1-7') })
  ;(await history.asks('1-7'))({})
  await live()
  expect(seen).toEqual(['1-7'])
})
