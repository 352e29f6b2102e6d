import { describe, expect, test } from 'vitest'
import type { InboxItem } from './inbox.ts'
import {
  addArrival,
  addMark,
  applyCount,
  dropMark,
  emptyInbox,
  type InboxModel,
  markAsRead,
  mergeNewest,
  mergeOlder,
  removeItems,
  view,
} from './inbox-model.ts'

const createdAt = '2026-01-02T03:04:05.678Z'
const readAt = '2026-01-02T04:00:00.000Z'

function item(notificationId: number, more: Partial<InboxItem> = {}): InboxItem {
  return {
    notificationId,
    memberId: 1,
    message: `m${notificationId}`,
    redirectPath: '/',
    createdAt,
    readAt: null,
    broadcast: false,
    ...more,
  }
}

function page(ids: readonly number[], nextCursor: number | null = null) {
  return { memberId: 1, items: ids.map((id) => ({ ...item(id) })), nextCursor }
}

function loaded(ids: readonly number[], nextCursor: number | null = null): InboxModel {
  return applyCount(mergeNewest(emptyInbox, page(ids, nextCursor)), { unreadCount: ids.length, revision: 1 })
}

const markOf = (...notificationIds: number[]) => ({ notificationIds: new Set(notificationIds), older: false, readAt })

const ids = ({ items }: { items: readonly InboxItem[] }) => items.map(({ notificationId }) => notificationId)

describe('addArrival', () => {
  test('puts the notification first and adds one to the count; a repeat changes nothing', () => {
    const model = addArrival(loaded([3, 2, 1]), item(4))
    expect([ids(model), model.unreadCount]).toEqual([[4, 3, 2, 1], 4])
    expect(addArrival(model, item(4))).toBe(model)
  })

  test('keeps the order of ids when a notification arrives late', () => {
    expect(ids(addArrival(loaded([5, 3]), item(4)))).toEqual([5, 4, 3])
  })

  test('adds a notification as read when its mark came before; one with a smaller id that was not named is unread', () => {
    const model = markAsRead(loaded([]), [9, 7], readAt)
    for (const id of [9, 7]) expect(addArrival(model, item(id))).toMatchObject({ unreadCount: 0, items: [{ readAt }] })
    for (const id of [10, 8, 6]) expect(addArrival(model, item(id))).toMatchObject({ unreadCount: 1, items: [{ readAt: null }] })
  })

  test('remembers the newest of the marks that came before', () => {
    const many = Array.from({ length: 1_000 }, (_, at) => 1_000 - at)
    const model = markAsRead(markAsRead(loaded([]), [1_001], readAt), many, readAt)
    expect([model.earlyReads.size, model.earlyReads.has(1_000)]).toEqual([1_000, true])
  })

  test('keeps at most 1,000 items; those that are dropped can be read again', () => {
    let model = loaded([1])
    for (let id = 2; id <= 1_100; id += 1) model = addArrival(model, item(id))
    expect([model.items.length, model.cursor, view(model).hasMore]).toEqual([1_000, 101, true])
  })
})

describe('mergeNewest and mergeOlder', () => {
  test('adds new items, and keeps older ones when the page reaches them', () => {
    const model = mergeNewest(loaded([5, 4, 3, 2], 2), page([7, 6, 5], 5))
    expect([ids(model), model.cursor]).toEqual([[7, 6, 5, 4, 3, 2], 2])
  })

  test('replaces the items when they would leave a gap', () => {
    const model = mergeNewest(loaded([5, 4], 4), page([9, 8, 7], 7))
    expect([ids(model), model.cursor]).toEqual([[9, 8, 7], 7])
  })

  test('an item that arrived after a loss does not close the gap', () => {
    const model = mergeNewest(addArrival(loaded([5, 4], 4), item(9)), page([9, 8, 7], 7), 5)
    expect([ids(model), model.cursor]).toEqual([[9, 8, 7], 7])
  })

  test('keeps items that arrived during the request, and read items stay read', () => {
    const read = markAsRead(addArrival(loaded([3, 2]), item(4)), [3], readAt)
    expect(mergeNewest(read, page([3, 2])).items).toMatchObject([{ notificationId: 4 }, { readAt }, { readAt: null }])
  })

  test('a page that was read before a mark does not show it as unread', () => {
    const model = markAsRead(emptyInbox, [3], readAt)
    for (const merged of [mergeNewest(model, page([3, 2])), mergeOlder(model, page([3, 2]))])
      expect(merged.items).toMatchObject([{ readAt }, { readAt: null }])
  })

  test('an older page is appended', () => {
    const model = mergeOlder(loaded([5, 4], 4), page([3, 2], 2))
    expect([ids(model), model.cursor]).toEqual([[5, 4, 3, 2], 2])
  })
})

describe('applyCount', () => {
  test('ignores a count of an older revision, and of the same one unless it was read later', () => {
    const model = applyCount(loaded([1, 2, 3]), { unreadCount: 9, revision: 7 })
    expect(applyCount(model, { unreadCount: 1, revision: 6 })).toBe(model)
    expect(applyCount(model, { unreadCount: 1, revision: 7 })).toBe(model)
    expect(applyCount(model, { unreadCount: 1, revision: 7 }, { sameRevision: true }).unreadCount).toBe(1)
    expect(applyCount(model, { unreadCount: 2, revision: 8 }).unreadCount).toBe(2)
  })

  test('the view never shows less than its number of unread items', () => {
    expect(view(applyCount(loaded([1, 2, 3]), { unreadCount: 1, revision: 2 })).unreadCount).toBe(3)
  })
})

test('removeItems drops what is no longer stored', () => {
  expect(ids(removeItems(loaded([5, 4, 3], 3), [9, 4, 3]))).toEqual([5])
})

describe('an unconfirmed mark', () => {
  test('shows at once, and is undone when it is dropped', () => {
    const model = loaded([3, 2, 1])
    const mark = markOf(2)
    const marked = addMark(model, mark)
    expect(view(marked)).toMatchObject({ unreadCount: 2, items: [{ readAt: null }, { readAt }, { readAt: null }] })
    expect(view(dropMark(marked, mark))).toEqual(view(model))
  })

  test('counts once, also when its READ message arrives before its response', () => {
    const marked = addMark(applyCount(loaded([3, 2, 1], 1), { unreadCount: 10, revision: 2 }), markOf(2))
    expect(view(marked).unreadCount).toBe(9)
    const confirmed = applyCount(markAsRead(marked, [2], readAt), { unreadCount: 9, revision: 3 })
    expect(view(confirmed).unreadCount).toBe(9)
  })

  test('of all leaves only newer items and later arrivals unread, also one with a smaller id', () => {
    const model = applyCount(loaded([4, 3, 1], 1), { unreadCount: 50, revision: 2 })
    const marked = addMark(model, { ...markOf(3, 1), older: true })
    expect(view(marked)).toMatchObject({ unreadCount: 1, items: [{ readAt: null }, { readAt }, { readAt }] })
    expect(view(addArrival(marked, item(2))).unreadCount).toBe(2)
  })
})
