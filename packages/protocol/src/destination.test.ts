import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { errorDestination, messageDestination, resolveDestination, sessionDestination } from './destination.ts'

describe('resolveDestination', () => {
  test.each([
    ['/member/queue/notification', 'member:1:notification'],
    ['/member/queue/read', 'member:1:read'],
    ['/member/queue/task', 'member:1:task'],
    ['/member/queue/task.018f-AB_c', 'member:1:task.018f-AB_c'],
  ])('resolves %s to the channel %s for member 1', (destination, channel) => {
    expect(resolveDestination(destination, 1)).toEqual({ kind: 'channel', channel })
  })

  test.each(['all', 'release.2026', 'a'.repeat(128)])('resolves the topic %s', (topic) => {
    expect(resolveDestination(`/topic/${topic}`, 1)).toEqual({ kind: 'channel', channel: `broadcast:${topic}`, topic })
  })

  test('resolves the session queues', () => {
    expect(resolveDestination(sessionDestination, 1)).toEqual({ kind: 'session', queue: 'session' })
    expect(resolveDestination(errorDestination, 1)).toEqual({ kind: 'session', queue: 'error' })
  })

  test.each([
    '',
    '/',
    'member:2:notification',
    '/member/2/queue/notification',
    '/member/queue/',
    '/member/queue/2:notification',
    '/member/queue/../2',
    '/member/queue/notification/',
    '/member/queue/notification\n',
    '/member/queue/*',
    '/member/queue/.hidden',
    '/member/queue/-x',
    '/member/queue/알림',
    '/member/queue/{member',
    '/member/queue',
    '/Member/queue/notification',
    ' /member/queue/notification',
    '/topic/',
    '/topic/a:b',
    '/topic/a/b',
    '/topic/>',
    `/topic/${'a'.repeat(129)}`,
    '/queue/notification',
    '/publish/notification/read',
    '/user/queue/notification',
  ])('returns undefined for %j', (destination) => {
    expect(resolveDestination(destination, 1)).toBeUndefined()
  })

  test("never resolves to another member's channel", () => {
    const tail = fc.string({ unit: fc.constantFrom('2', ':', '/', '.', '1', 'notification', 'member', '\n', '{', '}') })
    fc.assert(
      fc.property(fc.constantFrom('/member/queue/', '/topic/', '/member/', '/'), tail, (prefix, name) => {
        const found = resolveDestination(prefix + name, 1)
        if (found?.kind === 'channel') expect(found.channel).toMatch(/^(member:1|broadcast):[A-Za-z0-9._-]+$/)
      }),
    )
  })
})

describe('messageDestination', () => {
  test.each([
    ['/topic/order.17', { topic: 'order.17' }],
    ['/topic/allies', { topic: 'allies' }],
    ['/member/queue/cart', { queue: 'cart' }],
    ['/member/queue/tasks', { queue: 'tasks' }],
    ['/member/queue/all', { queue: 'all' }],
  ])('resolves %s', (destination, expected) => {
    expect(messageDestination(destination)).toEqual(expected)
  })

  const ofTheSystem = ['notification', 'read', 'task', 'task.018f', 'task.', 'session', 'error'].map(
    (queue) => `/member/queue/${queue}`,
  )
  test.each([
    ...ofTheSystem,
    '/topic/all',
    '/topic/',
    '/topic/a b',
    '/topic',
    '/member/queue/',
    '/member/7/queue/cart',
    '/queue/cart',
    '',
  ])('returns undefined for %j', (destination) => {
    expect(messageDestination(destination)).toBeUndefined()
  })
})
