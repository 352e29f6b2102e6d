import { expect, test } from 'vitest'
import { isNotification, isReadMessage, isRemoval, isTaskAnnouncement, isTaskMessage } from './message-check.ts'

test('a notification has an id and a message, and a path or none', () => {
  const notification = { notificationId: 7, message: 'hello', redirectPath: '/' }
  expect(isNotification({ ...notification, memberId: 1 })).toBe(true)
  expect(isNotification({ notificationId: 7, message: 'hello' })).toBe(true)
  const others = [{}, [], { message: 'legacy without id', redirectPath: '/' }, { ...notification, notificationId: '7' }]
  for (const body of [...others, { ...notification, redirectPath: 7 }]) expect(isNotification(body)).toBe(false)
})

test('a ReadMessage names what has changed, and has a count', () => {
  const count = { memberId: 1, unreadCount: 0, revision: 2 }
  expect(isReadMessage({ ...count, notificationIds: [7], readAt: '2026-01-02T03:04:05.678Z' })).toBe(true)
  for (const name of ['removedIds', 'unreadIds', 'seenIds', 'archivedIds', 'unarchivedIds'])
    expect(isReadMessage({ ...count, [name]: [7] })).toBe(true)
  for (const body of [{}, count, { ...count, notificationIds: [7] }, { ...count, removedIds: ['7'] }, { removedIds: [7] }])
    expect(isReadMessage(body)).toBe(false)
})

test('a removal of broadcasts names them', () => {
  expect(isRemoval({ removedIds: [7] })).toBe(true)
  for (const body of [{}, { removedIds: 7 }, { removedIds: ['7'] }]) expect(isRemoval(body)).toBe(false)
})

test('an announcement names a task', () => {
  expect(isTaskAnnouncement({ type: 'started', taskId: 'a', kind: 'answer', status: 'running' })).toBe(true)
  expect(isTaskAnnouncement({ type: 'started' })).toBe(false)
})

test('a message of a task has a known type, and data is a list', () => {
  expect(isTaskMessage({ type: 'data', data: [{ a: 1 }] })).toBe(true)
  for (const body of [{}, { type: 'else' }, { type: 'data' }, { type: 'data', data: { a: 1 } }])
    expect(isTaskMessage(body)).toBe(false)
})
