import { expect, test } from 'vitest'
import { isNotification, isReadMessage, isTaskAnnouncement } from './message-check.ts'

test('a notification has an id, a message and a path', () => {
  const notification = { notificationId: 7, message: 'hello', redirectPath: '/' }
  expect(isNotification({ ...notification, memberId: 1 })).toBe(true)
  const others = [{}, [], { message: 'legacy without id', redirectPath: '/' }, { ...notification, notificationId: '7' }]
  for (const body of [...others, { notificationId: 7, message: 'hello' }]) expect(isNotification(body)).toBe(false)
})

test('a ReadMessage names what was read or removed, and has a count', () => {
  const count = { memberId: 1, unreadCount: 0, revision: 2 }
  expect(isReadMessage({ ...count, notificationIds: [7], readAt: '2026-01-02T03:04:05.678Z' })).toBe(true)
  expect(isReadMessage({ ...count, removedIds: [7] })).toBe(true)
  for (const body of [{}, count, { ...count, notificationIds: [7] }, { ...count, removedIds: ['7'] }, { removedIds: [7] }])
    expect(isReadMessage(body)).toBe(false)
})

test('an announcement names a task', () => {
  expect(isTaskAnnouncement({ type: 'started', taskId: 'a', kind: 'answer', status: 'running' })).toBe(true)
  expect(isTaskAnnouncement({ type: 'started' })).toBe(false)
})
