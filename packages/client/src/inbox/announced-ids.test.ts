import { expect, test } from 'vitest'
import { AnnouncedIds } from './announced-ids.ts'

test('adds each id once', () => {
  const announced = new AnnouncedIds()
  expect([1, 2, 1, 3, 2].map((id) => announced.add(id))).toEqual([true, true, false, true, false])
})

test('drops the oldest id beyond its maximum', () => {
  const announced = new AnnouncedIds(2)
  for (const id of [1, 2, 3]) announced.add(id)
  expect([3, 2, 1].map((id) => announced.add(id))).toEqual([false, false, true])
})
