import { expect, test } from 'vitest'
import { backoffMs } from './backoff.ts'

const limits = { reconnectBaseMs: 1_000, reconnectMaxMs: 30_000 }

test('doubles the upper bound with each failure, up to reconnectMaxMs', () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 1_000].map((failures) => backoffMs(failures, limits, () => 1))
  expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
})

test('applies full jitter, down to 0 ms', () => {
  expect(backoffMs(4, limits, () => 0)).toBe(0)
  expect(backoffMs(4, limits, () => 0.25)).toBe(4_000)
})
