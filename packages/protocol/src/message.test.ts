import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import {
  BroadcastMessage,
  ControlMessage,
  ErrorMessage,
  maxMembersPerSend,
  maxMessageLength,
  maxRedirectPathLength,
  NotificationMessage,
  ReadMessage,
  SendMessage,
  SendNotification,
  SentNotification,
  SessionMessage,
} from './message.ts'

const send = { memberId: 1, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' }

/** Returns the paths of the fields that a schema refuses. */
function faults(schema: z.ZodType, value: unknown): string[] {
  return schema.safeParse(value).error?.issues.map((issue) => issue.path.join('.')) ?? []
}

function faultsOfSendTo(memberIds: unknown): string[] {
  return faults(SendNotification, { message: 'a', redirectPath: '/', memberIds })
}

describe('redirectPath', () => {
  test.each([
    '/',
    '/dashboard',
    '/a/b?c=d#e',
    '/order/1?next=//x',
    '/order/1?next=/..//x#/..//y',
    '/한글',
    '/%2f%2fevil.example',
    '/a//b',
    '/a/..b//c',
    '/a//../b',
    '/a/b/..//c',
    '/a//..//..//evil.example',
    '/%252e%252e//a',
    '/./a',
    '/a/..',
    '/..',
    '/@evil.example',
  ])('accepts %j, which stays on the own origin, also after its dot segments are removed', (redirectPath) => {
    expect(faults(SendNotification, { ...send, redirectPath })).toEqual([])
    const { origin, pathname } = new URL(redirectPath, 'https://app.example')
    expect([origin, new URL(pathname, 'https://app.example').origin]).toEqual(['https://app.example', 'https://app.example'])
  })

  test.each([
    '/.//evil.example',
    '/..//evil.example',
    '/././/evil.example',
    '/a/..//evil.example',
    '/a/../..//evil.example',
    '/a/./..//evil.example',
    '/.../..//..//a/..',
    '/%2e//evil.example',
    '/%2E%2e//evil.example',
    '/.%2e//evil.example',
    '/%2e.//evil.example?a#b',
    '/a/%2e%2e//evil.example',
    '/.///evil.example',
    '/..//',
  ])('refuses %j, which begins with two slashes after its dot segments are removed', (redirectPath) => {
    expect(new URL(redirectPath, 'https://app.example').pathname).toMatch(/^\/\//)
    expect(faults(SendNotification, { ...send, redirectPath })).toEqual(['redirectPath'])
    expect(faults(NotificationMessage, { ...send, notificationId: 1, redirectPath })).toEqual(['redirectPath'])
  })

  test.each([
    '',
    'dashboard',
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/a\\..\\b',
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'https://evil.example',
    'https:evil.example',
    ' /dashboard',
    '\t//evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    '/\r/evil.example',
    '/a\0',
    '/a\u007f',
    '/a\u0085',
    './a',
    '../a',
    '?a',
    '#a',
    `/${'a'.repeat(maxRedirectPathLength)}`,
  ])('refuses %j', (redirectPath) => {
    expect(faults(SendNotification, { ...send, redirectPath })).toEqual(['redirectPath'])
    expect(faults(NotificationMessage, { ...send, notificationId: 1, redirectPath })).toEqual(['redirectPath'])
  })
})

describe('SendNotification', () => {
  test('accepts one member or several', () => {
    const { memberId, ...rest } = send
    expect(SendNotification.parse(send)).toEqual(send)
    expect(SendNotification.parse({ ...rest, memberIds: [memberId, 2] })).toEqual({ ...rest, memberIds: [1, 2] })
  })

  test('requires exactly one of memberId and memberIds', () => {
    expect(faults(SendNotification, { ...send, memberIds: [2] })).toEqual(['memberId'])
    expect(faults(SendNotification, { ...send, memberId: undefined })).toEqual(['memberId'])
  })

  test('refuses memberIds that are empty, too many or invalid', () => {
    expect(faultsOfSendTo(Array.from({ length: maxMembersPerSend }, (_, index) => index + 1))).toEqual([])
    expect(faultsOfSendTo(Array.from({ length: maxMembersPerSend + 1 }, (_, index) => index + 1))).toEqual(['memberIds'])
    expect(faultsOfSendTo([])).toEqual(['memberIds'])
    expect(faultsOfSendTo([1, 0])).toEqual(['memberIds.1'])
    expect(faultsOfSendTo('1')).toEqual(['memberIds'])
  })

  test('refuses a message that is empty, too long or not a string', () => {
    expect(faults(SendNotification, { ...send, message: '' })).toEqual(['message'])
    expect(faults(SendNotification, { ...send, message: 'a'.repeat(maxMessageLength) })).toEqual([])
    expect(faults(SendNotification, { ...send, message: 'a'.repeat(maxMessageLength + 1) })).toEqual(['message'])
    expect(faults(SendNotification, { ...send, message: 5 })).toEqual(['message'])
  })

  test('accepts a JSON object as data, and no other value', () => {
    expect(SendNotification.parse({ ...send, data: { a: [1, null, { b: true }] } }).data).toEqual({ a: [1, null, { b: true }] })
    for (const data of [[], 'x', null, 1]) expect(faults(SendNotification, { ...send, data })).toEqual(['data'])
  })

  test('names an unknown field', () => {
    const { error } = SendNotification.safeParse({ ...send, memberID: 2 })
    expect(error?.issues).toMatchObject([{ code: 'unrecognized_keys', keys: ['memberID'] }])
  })

  test('refuses a body that is not an object', () => {
    for (const body of ['', [], null, undefined, 1]) expect(SendNotification.safeParse(body).success).toBe(false)
  })
})

describe('the bodies of PROTOCOL.md §4 and §6', () => {
  test.each<[string, z.ZodType, unknown]>([
    [
      'NotificationMessage',
      NotificationMessage,
      { memberId: 1, notificationId: 12345, message: 'a', redirectPath: '/dashboard' },
    ],
    ['BroadcastMessage', BroadcastMessage, { notificationId: 12345, message: 'a', redirectPath: '/' }],
    ['SentNotification', SentNotification, { notificationId: 12345, memberId: 1, online: null }],
    [
      'ReadMessage of what was read',
      ReadMessage,
      { memberId: 1, notificationIds: [5, 3], readAt: '2026-11-22T00:00:00.000Z', unreadCount: 0, unseenCount: 0, revision: 1 },
    ],
    [
      'ReadMessage of what was removed',
      ReadMessage,
      { memberId: 1, removedIds: [5], unreadCount: 0, unseenCount: 0, revision: 2 },
    ],
    ['gap', SessionMessage, { type: 'gap', destination: '/topic/all' }],
    ['expiring', SessionMessage, { type: 'expiring', expiresAt: 1_800_000_000 }],
    ['draining', SessionMessage, { type: 'draining', reconnectAfterMs: 0 }],
    [
      'ErrorMessage',
      ErrorMessage,
      { destination: '/publish/notification/read', type: 'about:blank', title: 'Forbidden', status: 403 },
    ],
    [
      'revoke',
      ControlMessage,
      { type: 'revoke', memberId: 1, tokenHash: '', issuedBefore: 1_800_000_000, expiresAt: 1_800_086_400 },
    ],
  ])('%s is valid', (_, schema, message) => {
    expect(schema.parse(message)).toEqual(message)
  })

  test.each<[string, z.ZodType, unknown]>([
    ['a session message of an unknown type', SessionMessage, { type: 'hello' }],
    ['a negative delay', SessionMessage, { type: 'draining', reconnectAfterMs: -1 }],
    [
      'a local time',
      ReadMessage,
      { memberId: 1, notificationIds: [5], readAt: '2026-11-22 09:00', unreadCount: 0, unseenCount: 0, revision: 1 },
    ],
    [
      'a ReadMessage that names nothing',
      ReadMessage,
      { memberId: 1, removedIds: [], unreadCount: 0, unseenCount: 0, revision: 1 },
    ],
    ['an unknown command', ControlMessage, { type: 'stop' }],
  ])('%s is not valid', (_, schema, message) => {
    expect(schema.safeParse(message).success).toBe(false)
  })
})

describe('SendMessage', () => {
  test.each([null, 0, '', false, 'text', [], {}, { a: [1, null] }])('accepts the body %j', (body) => {
    expect(faults(SendMessage, { destination: '/topic/order.17', body })).toEqual([])
    expect(SendMessage.parse({ destination: '/topic/order.17', body }).body).toEqual(body)
  })

  test.each([
    [{ destination: '/topic/order.17' }, ['body']],
    [{ destination: '/topic/order.17', body: 1, memberIds: [7] }, ['memberIds']],
    [{ destination: '/member/queue/cart', body: 1 }, ['memberIds']],
    [{ destination: '/member/queue/cart', body: 1, memberIds: [] }, ['memberIds']],
    [{ destination: '/member/queue/read', body: 1, memberIds: [7] }, ['destination']],
    [{ destination: '/topic/all', body: 1 }, ['destination']],
    [{ destination: '/queue/cart', body: 1 }, ['destination']],
    [{ destination: '/topic/order.17', body: { a: ['\ud800'] } }, ['body.a.0']],
  ])('refuses %j', (message, expected) => {
    expect(faults(SendMessage, message)).toEqual(expected)
  })
})
