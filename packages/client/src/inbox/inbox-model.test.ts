import { describe, expect, test } from 'vitest'
import type { InboxItem } from './inbox.ts'
import {
  addMark,
  arrive,
  count,
  dropMark,
  emptyInbox,
  type InboxModel,
  markAsRead,
  mergeNewest,
  mergeOlder,
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
  return { items: ids.map((id) => ({ ...item(id) })), nextCursor }
}

function loaded(ids: readonly number[], nextCursor: number | null = null): InboxModel {
  return count(mergeNewest(emptyInbox, page(ids, nextCursor)), { unreadCount: ids.length, revision: 1 })
}

const ids = ({ items }: { items: readonly InboxItem[] }) => items.map(({ notificationId }) => notificationId)

describe('a notification that arrives', () => {
  test('is the newest, and adds one; a repeat changes nothing', () => {
    const model = arrive(loaded([3, 2, 1]), item(4))
    expect([ids(model), model.unreadCount]).toEqual([[4, 3, 2, 1], 4])
    expect(arrive(model, item(4))).toBe(model)
  })

  test('takes its place among those whose ids it overtook', () => {
    expect(ids(arrive(loaded([5, 3]), item(4)))).toEqual([5, 4, 3])
  })

  test('was read before it came: one, or all up to one', () => {
    const model = markAsRead(markAsRead(loaded([]), { notificationId: 9, readAt }), { upTo: 5, readAt })
    for (const id of [9, 5, 4]) expect(arrive(model, item(id))).toMatchObject({ unreadCount: 0, items: [{ readAt }] })
    expect(arrive(model, item(6))).toMatchObject({ unreadCount: 1, items: [{ readAt: null }] })
  })

  test('never makes the list longer than 1,000, and what is cut off can be read again', () => {
    let model = loaded([1])
    for (let id = 2; id <= 1_100; id += 1) model = arrive(model, item(id))
    expect([model.items.length, model.cursor, view(model).hasMore]).toEqual([1_000, 101, true])
  })
})

describe('the newest page', () => {
  test('brings what is new, and keeps what it reaches down to', () => {
    const model = mergeNewest(loaded([5, 4, 3, 2], 2), page([7, 6, 5], 5))
    expect([ids(model), model.cursor]).toEqual([[7, 6, 5, 4, 3, 2], 2])
  })

  test('replaces the list where a hole would be left', () => {
    const model = mergeNewest(loaded([5, 4], 4), page([9, 8, 7], 7))
    expect([ids(model), model.cursor]).toEqual([[9, 8, 7], 7])
  })

  test('what arrived after a loss does not close the hole', () => {
    const model = mergeNewest(arrive(loaded([5, 4], 4), item(9)), page([9, 8, 7], 7), 5)
    expect([ids(model), model.cursor]).toEqual([[9, 8, 7], 7])
  })

  test('keeps what came while it was read, and what was read stays read', () => {
    const read = markAsRead(arrive(loaded([3, 2]), item(4)), { notificationId: 3, readAt })
    expect(mergeNewest(read, page([3, 2])).items).toMatchObject([{ notificationId: 4 }, { readAt }, { readAt: null }])
  })

  test('an older page goes on where the list ends', () => {
    const model = mergeOlder(loaded([5, 4], 4), page([3, 2], 2))
    expect([ids(model), model.cursor]).toEqual([[5, 4, 3, 2], 2])
  })
})

describe('the count', () => {
  test('of an older state is out of date, and so is one that says the same again', () => {
    const model = count(loaded([1, 2, 3]), { unreadCount: 9, revision: 7 })
    expect(count(model, { unreadCount: 1, revision: 6 })).toBe(model)
    expect(count(model, { unreadCount: 1, revision: 7 })).toBe(model)
    expect(count(model, { unreadCount: 1, revision: 7 }, { sameRevision: true }).unreadCount).toBe(1)
    expect(count(model, { unreadCount: 2, revision: 8 }).unreadCount).toBe(2)
  })

  test('is never less than what is there to be seen', () => {
    expect(view(count(loaded([1, 2, 3]), { unreadCount: 1, revision: 2 })).unreadCount).toBe(3)
  })
})

describe('a mark on its way', () => {
  test('shows at once, and is gone when it is dropped', () => {
    const model = loaded([3, 2, 1])
    const mark = { notificationId: 2, readAt }
    const marked = addMark(model, mark)
    expect(view(marked)).toMatchObject({ unreadCount: 2, items: [{ readAt: null }, { readAt }, { readAt: null }] })
    expect(view(dropMark(marked, mark))).toEqual(view(model))
  })

  test('counts once, also when the answer of another device overtakes it', () => {
    const marked = addMark(count(loaded([3, 2, 1], 1), { unreadCount: 10, revision: 2 }), { notificationId: 2, readAt })
    expect(view(marked).unreadCount).toBe(9)
    const told = count(markAsRead(marked, { notificationId: 2, readAt }), { unreadCount: 9, revision: 3 })
    expect(view(told).unreadCount).toBe(9)
  })

  test('of all leaves only what came since', () => {
    const marked = addMark(count(loaded([3, 2, 1], 1), { unreadCount: 50, revision: 2 }), { upTo: 3, readAt })
    expect(view(marked).unreadCount).toBe(0)
    expect(view(arrive(marked, item(4))).unreadCount).toBe(1)
  })
})
