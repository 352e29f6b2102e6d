import { expect, test } from 'vitest'
import { Seen } from './seen.ts'

test('each once', () => {
  const seen = new Seen()
  expect([1, 2, 1, 3, 2].map((id) => seen.add(id))).toEqual([true, true, false, true, false])
})

test('forgets the oldest', () => {
  const seen = new Seen(2)
  for (const id of [1, 2, 3]) seen.add(id)
  expect([3, 2, 1].map((id) => seen.add(id))).toEqual([false, false, true])
})
