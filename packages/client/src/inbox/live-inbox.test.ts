import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { HttpApi } from '../http-api.ts'
import { LiveInbox } from './live-inbox.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Opens the inbox of a tab that does not lead. The server's count already includes a notification that then arrives. */
async function openFollowingInbox() {
  const requests: string[] = []
  const answers = {
    '/notification?limit=20': { memberId: 1, items: [], nextCursor: null, revision: 0 },
    '/notification/unread-count': { memberId: 1, unreadCount: 1, unseenCount: 1, revision: 1 },
  }
  const api = {
    async get(path: keyof typeof answers) {
      requests.push(path)
      return { ok: true, body: answers[path] }
    },
  }
  const shared = vi.fn<() => void>()
  const inbox = new LiveInbox({ pageSize: 20, reconnectBaseMs: 1, reconnectMaxMs: 1 }, api as unknown as HttpApi, {
    announce: () => {},
    leading: false,
    shareCount: shared,
    memberKnown: () => {},
    received: () => {},
  })
  inbox.start()
  inbox.connected(1)
  await vi.advanceTimersByTimeAsync(100)
  requests.length = 0
  inbox.arrived({ memberId: 1, notificationId: 7, message: 'hello', redirectPath: '/' }, false)
  expect(inbox.getSnapshot().unreadCount).toBe(2)
  return { inbox, requests, shared }
}

test('reads the count itself when the leading tab does not', async () => {
  const { inbox, requests, shared } = await openFollowingInbox()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(requests).toEqual([])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(requests).toEqual(['/notification/unread-count'])
  expect(inbox.getSnapshot().unreadCount).toBe(1)
  expect(shared).not.toHaveBeenCalled()
})

describe('a notification that the first page contains', () => {
  const hello = { memberId: 1, notificationId: 7, message: 'hello', redirectPath: '/' }

  async function openWithPage() {
    const announced: number[] = []
    const items = [{ ...hello, createdAt: '2026-01-02T03:04:05.678Z', readAt: null, count: 1, seen: false, archived: false }]
    const answers = {
      '/notification?limit=20': { memberId: 1, items, nextCursor: null, revision: 0 },
      '/notification/unread-count': { memberId: 1, unreadCount: 1, unseenCount: 1, revision: 1 },
    }
    const api = { get: async (path: keyof typeof answers) => ({ ok: true, body: answers[path] }) }
    const inbox = new LiveInbox({ pageSize: 20, reconnectBaseMs: 1, reconnectMaxMs: 1 }, api as unknown as HttpApi, {
      announce: ({ notificationId }) => void announced.push(notificationId),
      leading: true,
      shareCount: () => {},
      memberKnown: () => {},
      received: () => {},
    })
    inbox.start()
    inbox.connected(1)
    return { inbox, announced }
  }

  test.each([
    ['while it was being read', 0],
    ['soon after it was read', 1_000],
  ])('is announced when it arrives after a connection that broke %s', async (_when, brokeAfterMs) => {
    const { inbox, announced } = await openWithPage()
    await vi.advanceTimersByTimeAsync(brokeAfterMs)
    inbox.disconnected()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(inbox.getSnapshot()).toMatchObject({ status: 'ready', items: { length: 1 } })
    // Before `connected`: a session resumes its subscriptions one by one.
    inbox.arrived(hello, false)
    inbox.connected(1)
    inbox.arrived(hello, false)
    expect(announced).toEqual([7])
  })

  test('is a repeat when it arrives long after, on the same connection or another', async () => {
    const { inbox, announced } = await openWithPage()
    await vi.advanceTimersByTimeAsync(60_000)
    inbox.arrived(hello, false)
    inbox.disconnected()
    inbox.connected(1)
    inbox.arrived(hello, false)
    expect(announced).toEqual([])
  })
})

test('drops what retention has removed, with the count of the server', async () => {
  const { inbox } = await openFollowingInbox()
  inbox.wasRead({ memberId: 1, removedIds: [3, 7], unreadCount: 0, unseenCount: 0, revision: 2 })
  expect(inbox.getSnapshot()).toMatchObject({ items: [], unreadCount: 0 })
})

test('does not read the count when the leading tab has', async () => {
  const { inbox, requests } = await openFollowingInbox()
  await vi.advanceTimersByTimeAsync(1_000)
  inbox.counted({ unreadCount: 1, unseenCount: 1, revision: 1 })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(requests).toEqual([])
  expect(inbox.getSnapshot().unreadCount).toBe(1)
})
