import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { receivedDestination } from '@tidings/protocol/destination'
import { ReceivedReports } from './received-reports.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function open() {
  const sent: { readonly ids: readonly number[]; readonly atMs: number; readonly handled: () => void }[] = []
  const reports = new ReceivedReports((ids, handled) => sent.push({ ids, handled, atMs: performance.now() }))
  return { reports, sent }
}

const range = (count: number, first = 1) => Array.from({ length: count }, (_, at) => first + at)

test('reports each id once, at most 100 at a time and one report a second', () => {
  const { reports, sent } = open()
  reports.connected = true
  reports.add(range(250))
  reports.add([1, 2, 250])
  for (let seconds = 0; seconds < 10; seconds += 1) {
    vi.advanceTimersByTime(1_000)
    sent.at(-1)?.handled()
  }
  expect(sent.map(({ ids }) => ids)).toEqual([range(100), range(100, 101), range(50, 201)])
  reports.add(range(250))
  vi.advanceTimersByTime(10_000)
  expect(sent).toHaveLength(3)
  expect(sent.every(({ atMs }, at) => at === 0 || atMs - (sent[at - 1]?.atMs ?? 0) >= 1_000)).toBe(true)
})

test('sends nothing before there is a session, and repeats what no RECEIPT has confirmed, also within the second', () => {
  const { reports, sent } = open()
  reports.add([1])
  vi.advanceTimersByTime(10_000)
  expect(sent).toEqual([])
  reports.connected = true
  vi.advanceTimersByTime(1_000)
  for (const connected of [false, true]) reports.connected = connected
  reports.add([2])
  vi.advanceTimersByTime(2_000)
  expect(sent.map(({ ids }) => ids)).toEqual([[1], [1, 2]])
  expect((sent[1]?.atMs ?? 0) - (sent[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(1_000)
  // The RECEIPT of the session that has ended.
  sent[0]?.handled()
  sent[1]?.handled()
  vi.advanceTimersByTime(60_000)
  expect(sent).toHaveLength(2)
})

test('tries again later what the HTTP API could not take, and not what it refuses', () => {
  const { reports, sent } = open()
  reports.connected = true
  for (const [status, id] of [
    [503, 1],
    [404, 2],
  ] as const) {
    reports.add([id])
    vi.advanceTimersByTime(60_000)
    reports.failed({ destination: receivedDestination, status })
    sent.at(-1)?.handled()
    vi.advanceTimersByTime(60_000)
    sent.at(-1)?.handled()
  }
  expect(sent.map(({ ids }) => ids)).toEqual([[1], [1], [2]])
})

test('ends when the gateway does not know the destination, and only then', () => {
  const { reports, sent } = open()
  expect(reports.refused('/topic/secret')).toBe(false)
  expect(reports.refused(receivedDestination)).toBe(true)
  reports.connected = true
  reports.add([1])
  vi.advanceTimersByTime(60_000)
  expect(sent).toEqual([])
})

test('keeps the newest 1,000 ids, and none of a member who has left', () => {
  const { reports, sent } = open()
  reports.add(range(2_000))
  reports.connected = true
  vi.advanceTimersByTime(1_000)
  expect(sent[0]?.ids).toEqual(range(100, 1_001))
  reports.clear()
  sent[0]?.handled()
  vi.advanceTimersByTime(10_000)
  expect(sent).toHaveLength(1)
})
