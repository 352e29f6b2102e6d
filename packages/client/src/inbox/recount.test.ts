import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Recount } from './recount.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function recounting() {
  const work = vi.fn<() => void>()
  return { work, recount: new Recount(work, () => Date.now()) }
}

test('does not recount after an arrival alone or a count alone', () => {
  const { work, recount } = recounting()
  recount.arrived()
  vi.advanceTimersByTime(6_000)
  recount.counted()
  vi.advanceTimersByTime(60_000)
  expect(work).not.toHaveBeenCalled()
})

test('recounts once, after 500 ms of quiet, when arrivals and counts come close together in any order', () => {
  for (const order of [['arrived', 'counted'] as const, ['counted', 'arrived'] as const]) {
    const { work, recount } = recounting()
    for (let times = 0; times < 20; times += 1) for (const what of order) recount[what]()
    vi.advanceTimersByTime(499)
    expect(work).not.toHaveBeenCalled()
    vi.advanceTimersByTime(60_000)
    expect(work).toHaveBeenCalledTimes(1)
  }
})

test('recounts again, at least 5 seconds later, when a notification arrives during the recount', () => {
  const { work, recount } = recounting()
  recount.counted()
  recount.arrived()
  vi.advanceTimersByTime(500)
  const startedAt = Date.now()
  recount.arrived()
  recount.recounted(startedAt)
  vi.advanceTimersByTime(4_900)
  expect(work).toHaveBeenCalledTimes(1)
  vi.advanceTimersByTime(200)
  expect(work).toHaveBeenCalledTimes(2)
})
