import type { UnreadCount } from '@tidings/protocol'
import { describe, expect, test } from 'vitest'
import { ChangeLog, type Change, type Entry } from './change.ts'
import type { InboxItem } from './inbox.ts'
import { addArrival, addPending, applyCount, dropPending, emptyInbox, type InboxModel, view } from './inbox-model.ts'
import { applyChange, entriesOf, mergeNewest, mergeOlder, type Pending } from './item-list.ts'

const createdAt = '2026-01-02T03:04:05.678Z'
const readAt = '2026-01-02T04:00:00.000Z'

function item(notificationId: number, more: Partial<InboxItem> = {}): InboxItem {
  const { broadcast: _, ...stored } = storedItem(notificationId)
  return { ...stored, broadcast: false, ...more }
}

function storedItem(notificationId: number) {
  const states = { createdAt, readAt: null, seen: false, archived: false, broadcast: false }
  return { notificationId, memberId: 1, message: `m${notificationId}`, redirectPath: '/', count: 1, ...states }
}

const arrival = (notificationId: number, more: Partial<InboxItem> = {}): Entry => ({
  item: item(notificationId, more),
  readRevision: 0,
  archivedRevision: 0,
})

const entries = (ids: readonly number[], revision = 1) => entriesOf({ items: ids.map(storedItem), revision })
const none = { knownBefore: new Set<number>(), revision: 9 }
const count = (unreadCount: number, revision: number): UnreadCount => ({ unreadCount, unseenCount: unreadCount, revision })

function newest(model: InboxModel, ids: readonly number[], nextCursor: number | null = null, completeUpTo?: number): InboxModel {
  const known = new Set(model.list.entries.map((each) => each.item.notificationId))
  const options = { knownBefore: known, revision: 1, ...(completeUpTo !== undefined && { completeUpTo }) }
  return { ...model, list: mergeNewest(model.list, entries(ids), nextCursor, options) }
}

function loaded(ids: readonly number[], nextCursor: number | null = null): InboxModel {
  return applyCount(newest(emptyInbox, ids, nextCursor), count(ids.length, 1))
}

const changed = (model: InboxModel, change: Change): InboxModel => ({ ...model, list: applyChange(model.list, change) })
const read = (notificationIds: number[], revision = 2): Change => ({ notificationIds, revision, readAt, seen: true })
const markOf = (...notificationIds: number[]): Pending => ({
  notificationIds: new Set(notificationIds),
  effect: { readAt, seen: true },
})

const ids = (model: InboxModel) => view(model).items.map(({ notificationId }) => notificationId)

describe('addArrival', () => {
  test('puts the notification first and adds one to the counts; a repeat changes nothing', () => {
    const model = addArrival(loaded([3, 2, 1]), arrival(4))
    expect([ids(model), model.unreadCount, model.unseenCount]).toEqual([[4, 3, 2, 1], 4, 4])
    expect(addArrival(model, arrival(4))).toBe(model)
  })

  test('keeps the order of ids when a notification arrives late', () => {
    expect(ids(addArrival(loaded([5, 3]), arrival(4)))).toEqual([5, 4, 3])
  })

  test('counts a notification as far as it is unread and unseen', () => {
    expect(addArrival(loaded([]), arrival(1, { readAt, seen: true }))).toMatchObject({ unreadCount: 0, unseenCount: 0 })
    expect(addArrival(loaded([]), arrival(1, { seen: true }))).toMatchObject({ unreadCount: 1, unseenCount: 0 })
    expect(addArrival(loaded([]), arrival(1, { archived: true }))).toMatchObject({ unreadCount: 0, unseenCount: 0 })
  })

  test('keeps at most 1,000 items; those that are dropped can be read again', () => {
    let model = loaded([1])
    for (let id = 2; id <= 1_100; id += 1) model = addArrival(model, arrival(id))
    expect([model.list.entries.length, model.list.cursor, view(model).hasMore]).toEqual([1_000, 101, true])
  })
})

describe('ChangeLog', () => {
  test('applies what was named before it is known, and nothing else', () => {
    const log = new ChangeLog()
    log.add(read([9, 7]))
    expect([9, 8, 7].map((id) => log.applyTo(arrival(id))?.item.readAt)).toEqual([readAt, null, readAt])
    log.add({ notificationIds: [8], revision: 3, removed: true })
    expect([log.applyTo(arrival(8)), log.removed(8), log.removed(9)]).toEqual([undefined, true, false])
  })

  test('ignores a change that is older than another of the same state, or than the page', () => {
    const log = new ChangeLog()
    log.add({ notificationIds: [5], revision: 4, readAt: null, seen: true })
    log.add(read([5], 3))
    log.add({ notificationIds: [5], revision: 2, archived: true })
    expect(log.applyTo(arrival(5))?.item).toMatchObject({ readAt: null, seen: true, archived: true })
    const [page] = entries([5], 9)
    expect(log.applyTo(page as Entry)?.item).toMatchObject({ readAt: null, archived: false })
  })

  test('remembers the newest of many', () => {
    const log = new ChangeLog()
    log.add(read([1]))
    log.add(read(Array.from({ length: 2_000 }, (_, at) => 2_001 - at)))
    expect([1, 2, 2_001].map((id) => log.applyTo(arrival(id))?.item.readAt)).toEqual([null, readAt, readAt])
  })
})

describe('mergeNewest and mergeOlder', () => {
  test('adds new items, and keeps older ones when the page reaches them', () => {
    const model = newest(loaded([5, 4, 3, 2], 2), [7, 6, 5], 5)
    expect([ids(model), model.list.cursor]).toEqual([[7, 6, 5, 4, 3, 2], 2])
  })

  test('replaces the items when they would leave a gap', () => {
    const model = newest(loaded([5, 4], 4), [9, 8, 7], 7)
    expect([ids(model), model.list.cursor]).toEqual([[9, 8, 7], 7])
  })

  test('an item that arrived after a loss does not close the gap', () => {
    const model = newest(addArrival(loaded([5, 4], 4), arrival(9)), [9, 8, 7], 7, 5)
    expect([ids(model), model.list.cursor]).toEqual([[9, 8, 7], 7])
  })

  test('keeps items that arrived during the request, and drops those that the page lacks', () => {
    const { list } = addArrival(loaded([3, 2]), arrival(4))
    expect(mergeNewest(list, entries([2]), null, { knownBefore: new Set([3, 2]), revision: 1 }).entries).toMatchObject([
      { item: { notificationId: 4 } },
      { item: { notificationId: 2 } },
    ])
  })

  test('keeps what came out of the archive after the page', () => {
    const archived = changed(loaded([3, 2]), { notificationIds: [3], revision: 2, archived: true })
    const { list } = changed(archived, { notificationIds: [3], revision: 4, archived: false })
    const options = { knownBefore: new Set([3, 2]), revision: 3 }
    expect(mergeNewest(list, entries([2], 3), null, options).entries).toMatchObject([{ item: { notificationId: 3 } }, {}])
  })

  test('a change that is newer than the page stays; one that the page includes does not come back', () => {
    const { list } = changed(loaded([3, 2]), read([3], 2))
    const merged = (revision: number) => mergeNewest(list, entries([3, 2], revision), null, none).entries[0]?.item.readAt
    expect([merged(1), merged(3)]).toEqual([readAt, null])
  })

  test('an older page is appended', () => {
    const list = mergeOlder(loaded([5, 4], 4).list, entries([3, 2]), 2)
    expect([list.entries.map((each) => each.item.notificationId), list.cursor]).toEqual([[5, 4, 3, 2], 2])
  })
})

describe('applyCount', () => {
  test('ignores a count of an older revision, and of the same one unless it was read later', () => {
    const model = applyCount(loaded([1, 2, 3]), count(9, 7))
    expect(applyCount(model, count(1, 6))).toBe(model)
    expect(applyCount(model, count(1, 7))).toBe(model)
    expect(applyCount(model, count(1, 7), { sameRevision: true }).unreadCount).toBe(1)
    expect(applyCount(model, count(2, 8)).unreadCount).toBe(2)
  })

  test('the view never shows less than its number of unread items', () => {
    expect(view(applyCount(loaded([1, 2, 3]), count(1, 2)))).toMatchObject({ unreadCount: 3, unseenCount: 3 })
  })
})

test('what is archived is not shown, and shown again without a request', () => {
  const archived = changed(loaded([5, 4]), { notificationIds: [5, 9], revision: 2, archived: true })
  expect(ids(archived)).toEqual([4])
  expect(ids(changed(archived, { notificationIds: [5], revision: 3, archived: false }))).toEqual([5, 4])
})

test('what is no longer stored is dropped', () => {
  expect(ids(changed(loaded([5, 4, 3], 3), { notificationIds: [9, 4, 3], revision: 2, removed: true }))).toEqual([5])
})

describe('an unconfirmed change', () => {
  test('shows at once, and is undone when it is dropped', () => {
    const model = loaded([3, 2, 1])
    const mark = markOf(2)
    const marked = addPending(model, mark)
    expect(view(marked)).toMatchObject({
      unreadCount: 2,
      unseenCount: 2,
      items: [{ readAt: null }, { readAt }, { readAt: null }],
    })
    expect(view(dropPending(marked, mark))).toEqual(view(model))
  })

  test.each<[string, Pending['effect'], { unreadCount: number; unseenCount: number; items: number[] }]>([
    ['seen', { seen: true }, { unreadCount: 3, unseenCount: 2, items: [3, 2, 1] }],
    ['archived', { archived: true }, { unreadCount: 2, unseenCount: 2, items: [3, 1] }],
    ['removed', { removed: true }, { unreadCount: 2, unseenCount: 2, items: [3, 1] }],
  ])('%s', (_, effect, { items, ...counts }) => {
    const model = addPending(loaded([3, 2, 1]), { notificationIds: new Set([2]), effect })
    expect(view(model)).toMatchObject(counts)
    expect(ids(model)).toEqual(items)
  })

  test('counts once, also when its READ message arrives before its response', () => {
    const marked = addPending(applyCount(loaded([3, 2, 1], 1), count(10, 2)), markOf(2))
    expect(view(marked).unreadCount).toBe(9)
    const confirmed = applyCount(changed(marked, read([2], 3)), count(9, 3))
    expect(view(confirmed).unreadCount).toBe(9)
  })

  test('of all leaves only newer items and later arrivals unread, also one with a smaller id', () => {
    const model = applyCount(loaded([4, 3, 1], 1), count(50, 2))
    const marked = addPending(model, { ...markOf(3, 1), older: 'read' })
    expect(view(marked)).toMatchObject({ unreadCount: 1, items: [{ readAt: null }, { readAt }, { readAt }] })
    expect(view(addArrival(marked, arrival(2))).unreadCount).toBe(2)
  })
})
