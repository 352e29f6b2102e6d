import { expect, test } from 'vitest'
import { Announcements } from './announcements.ts'
import type { InboxItem } from './inbox.ts'

function open() {
  const announced: number[] = []
  const announcements = new Announcements(
    (notificationId) => (notificationId > 0 ? ({ notificationId } as InboxItem) : undefined),
    ({ notificationId }) => void announced.push(notificationId),
  )
  return { announcements, announced }
}

test('announces each notification once, and only those in the inbox', () => {
  const { announcements, announced } = open()
  for (const id of [1, 2, 1, -1, 3, 2]) announcements.arrived(id)
  expect(announced).toEqual([1, 2, 3])
  expect(announcements.first).toBe(1)
})

test('remembers the latest 2,000 ids', () => {
  const { announcements, announced } = open()
  for (let id = 1; id <= 2_001; id += 1) announcements.arrived(id)
  for (const id of [2_001, 2, 1]) announcements.arrived(id)
  expect(announced.slice(2_000)).toEqual([2_001, 1])
})

test('holds arrivals, and releases them after the older ones that were read', () => {
  const { announcements, announced } = open()
  announcements.hold()
  for (const id of [9, 8]) announcements.arrived(id)
  expect([announced, announcements.holding]).toEqual([[], true])
  announcements.release([7, 9, 6])
  expect([announced, announcements.holding]).toEqual([[6, 7, 8, 9], false])
})

test('releases held arrivals in the order they arrived when nothing was read', () => {
  const { announcements, announced } = open()
  announcements.hold()
  for (const id of [9, 8]) announcements.arrived(id)
  announcements.release()
  expect(announced).toEqual([9, 8])
})
