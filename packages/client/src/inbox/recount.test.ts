import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Recount } from './recount.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function recounting() {
  const work = vi.fn<() => void>()
  return { work, recount: new Recount(work, () => Date.now()) }
}

test('an arrival alone, and a count alone, need none', () => {
  const { work, recount } = recounting()
  recount.arrived()
  vi.advanceTimersByTime(6_000)
  recount.counted()
  vi.advanceTimersByTime(60_000)
  expect(work).not.toHaveBeenCalled()
})

test('both close together: once, when it is quiet, in whichever order they came', () => {
  for (const order of [['arrived', 'counted'] as const, ['counted', 'arrived'] as const]) {
    const { work, recount } = recounting()
    for (let times = 0; times < 20; times += 1) for (const what of order) recount[what]()
    vi.advanceTimersByTime(499)
    expect(work).not.toHaveBeenCalled()
    vi.advanceTimersByTime(60_000)
    expect(work).toHaveBeenCalledTimes(1)
  }
})

test('what arrives while it is asked is asked for again, not sooner than 5 seconds later', () => {
  const { work, recount } = recounting()
  recount.counted()
  recount.arrived()
  vi.advanceTimersByTime(500)
  const askedAt = Date.now()
  recount.arrived()
  recount.recounted(askedAt)
  vi.advanceTimersByTime(4_900)
  expect(work).toHaveBeenCalledTimes(1)
  vi.advanceTimersByTime(200)
  expect(work).toHaveBeenCalledTimes(2)
})
