import { expect, test } from 'vitest'
import { backoffMs, resetsBackoff } from './backoff.ts'

const limits = { reconnectBaseMs: 1_000, reconnectMaxMs: 30_000 }

test('doubles the upper bound with each failure, up to reconnectMaxMs', () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 1_000].map((failures) => backoffMs(failures, limits, () => 1))
  expect(longest).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
})

test('applies full jitter, down to 0 ms', () => {
  expect(backoffMs(4, limits, () => 0)).toBe(0)
  expect(backoffMs(4, limits, () => 0.25)).toBe(4_000)
})

test('starts again after a connection that was lost and had stood for a second; one that the gateway closed needs five', () => {
  const livesMs = [500, 1_000, 4_000, 5_000]
  expect(livesMs.map((livedMs) => resetsBackoff({ code: 1006, livedMs }))).toEqual([false, true, true, true])
  expect(livesMs.map((livedMs) => resetsBackoff({ code: 4429, livedMs }))).toEqual([false, false, false, true])
})
