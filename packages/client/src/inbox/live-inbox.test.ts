import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { HttpApi } from '../http-api.ts'
import { LiveInbox } from './live-inbox.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A tab that follows. The server's count is ahead of its page: by a notification that is still to arrive. */
async function following() {
  const asked: string[] = []
  const answers = {
    '/notification?limit=20': { items: [], nextCursor: null },
    '/notification/unread-count': { unreadCount: 1, revision: 1 },
  }
  const api = {
    async get(path: keyof typeof answers) {
      asked.push(path)
      return { ok: true, body: answers[path] }
    },
  }
  const shared = vi.fn<() => void>()
  const inbox = new LiveInbox({ pageSize: 20, reconnectBaseMs: 1, reconnectMaxMs: 1 }, api as unknown as HttpApi, {
    announce: () => {},
    leading: false,
    shareCount: shared,
    pageOf: () => {},
  })
  inbox.start()
  inbox.connected(1)
  await vi.advanceTimersByTimeAsync(100)
  asked.length = 0
  inbox.arrived({ memberId: 1, notificationId: 7, message: 'hello', redirectPath: '/' }, false)
  expect(inbox.getSnapshot().unreadCount).toBe(2)
  return { inbox, asked, shared }
}

test('what the leading tab does not count, another one counts for itself', async () => {
  const { inbox, asked, shared } = await following()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(asked).toEqual([])
  await vi.advanceTimersByTimeAsync(60_000)
  expect(asked).toEqual(['/notification/unread-count'])
  expect(inbox.getSnapshot().unreadCount).toBe(1)
  expect(shared).not.toHaveBeenCalled()
})

test('what the leading tab has counted, no other one counts', async () => {
  const { inbox, asked } = await following()
  await vi.advanceTimersByTimeAsync(1_000)
  inbox.counted({ unreadCount: 1, revision: 1 })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(asked).toEqual([])
  expect(inbox.getSnapshot().unreadCount).toBe(1)
})
