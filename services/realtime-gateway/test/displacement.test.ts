import { expect, test } from 'vitest'
import { Displacements } from '../src/session/displacements.ts'

const minuteMs = 60_000

test('refuses a third displacement until a minute after the first', () => {
  const displacements = new Displacements()
  expect(displacements.retryAfterMs(1, 0)).toBe(0)
  displacements.record(1, 0)
  expect(displacements.retryAfterMs(1, 10_000)).toBe(0)
  displacements.record(1, 10_000)
  expect(displacements.retryAfterMs(1, 10_000)).toBe(minuteMs - 10_000)
  expect(displacements.retryAfterMs(1, minuteMs - 1)).toBe(1)
  expect(displacements.retryAfterMs(1, minuteMs)).toBe(0)
  expect(displacements.retryAfterMs(2, 10_000)).toBe(0)
  // The second one counts for a minute of its own.
  displacements.record(1, minuteMs)
  expect(displacements.retryAfterMs(1, minuteMs)).toBe(10_000)
})

test('keeps two times a member, however many sessions were displaced at once', () => {
  const displacements = new Displacements()
  for (let now = 0; now < 100; now++) displacements.record(1, now)
  expect(displacements.retryAfterMs(1, 100)).toBe(98 + minuteMs - 100)
})

test('forgets members without a displacement within a minute', () => {
  const displacements = new Displacements()
  for (let memberId = 0; memberId < 1_000; memberId++) displacements.record(memberId, memberId)
  displacements.record(0, 30_000)
  displacements.sweep(minuteMs + 499)
  // Members 1 to 499 are forgotten, and member 0 was displaced again.
  expect(displacements.size).toBe(501)
  displacements.sweep(2 * minuteMs)
  expect(displacements.size).toBe(0)
})
