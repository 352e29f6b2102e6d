import type { InboxPage, UnreadCount } from '@tidings/protocol'
import type { InboxItem, InboxState } from './inbox.ts'

/** A mark that was sent and is not confirmed yet. */
export interface Mark {
  readonly notificationIds: ReadonlySet<number>
  /** Whether it also marks everything older than these. */
  readonly older: boolean
  readonly readAt: string
}

/** What is known of the inbox. Immutable: the functions below return a new one, or the same when nothing changes. */
export interface InboxModel {
  /** As stored on the server, newest first, without gaps. */
  readonly items: readonly InboxItem[]
  /** Whether a page was read. Before that, there are only arrivals. */
  readonly loaded: boolean
  /** Where the next older page starts; null when there is none. */
  readonly cursor: number | null
  readonly unreadCount: number
  /** Revision of the read state that `unreadCount` belongs to. */
  readonly revision: number
  /** When notifications were read whose mark came before them. */
  readonly earlyReads: ReadonlyMap<number, string>
  readonly marks: readonly Mark[]
}

/** As many as one ReadMessage names. */
const maxEarlyReads = 1_000
/** Items kept when one arrives. Those that are dropped can be read again. */
const maxItems = 1_000

export const emptyInbox: InboxModel = {
  items: [],
  loaded: false,
  cursor: null,
  unreadCount: 0,
  revision: 0,
  earlyReads: new Map(),
  marks: [],
}

export function find({ items }: Pick<InboxModel, 'items'>, notificationId: number): InboxItem | undefined {
  return items.find((item) => item.notificationId === notificationId)
}

/** Returns 0 when there is none. */
export function newestId({ items }: InboxModel): number {
  return items[0]?.notificationId ?? 0
}

/** Adds an arrival. It counts as unread unless a mark for it came before. Returns the same model when it is known. */
export function addArrival(model: InboxModel, item: InboxItem): InboxModel {
  if (find(model, item.notificationId)) return model
  const read = item.readAt ?? model.earlyReads.get(item.notificationId) ?? null
  const items = sorted([{ ...item, readAt: read }, ...model.items])
  const kept = items.length > maxItems ? items.slice(0, maxItems) : items
  return {
    ...model,
    items: kept,
    cursor: kept === items ? model.cursor : (kept.at(-1)?.notificationId ?? null),
    unreadCount: model.unreadCount + (read === null ? 1 : 0),
  }
}

/**
 * Merges the newest page. `completeUpTo` is the newest notification below which nothing is missing. Items below the page stay when the
 * page reaches down to it, and are dropped when they would leave a gap.
 */
export function mergeNewest(model: InboxModel, page: InboxPage, completeUpTo: number = newestId(model)): InboxModel {
  const items = itemsOf(model, page)
  const oldest = items.at(-1)?.notificationId ?? 0
  const newer = model.items.filter((item) => item.notificationId >= oldest)
  const older = page.nextCursor === null ? [] : model.items.filter((item) => item.notificationId < oldest)
  const reached = model.loaded && oldest <= completeUpTo
  return {
    ...model,
    loaded: true,
    items: sorted([...union(items, newer), ...(reached ? older : [])]),
    cursor: reached && page.nextCursor !== null ? model.cursor : page.nextCursor,
  }
}

/** Returns the ids, oldest first, that are on the page and not in the model, down to where the model's items end. */
export function newSince({ items, cursor }: InboxModel, page: InboxPage): number[] {
  const known = new Set(items.map(({ notificationId }) => notificationId))
  const floor = cursor === null ? 0 : (items.at(-1)?.notificationId ?? 0)
  return page.items
    .map(({ notificationId }) => notificationId)
    .filter((id) => !known.has(id) && id > floor)
    .toReversed()
}

/** Appends the page that follows the items. */
export function mergeOlder(model: InboxModel, page: InboxPage): InboxModel {
  return { ...model, items: sorted(union(itemsOf(model, page), model.items)), cursor: page.nextCursor }
}

/** Applies a mark that was made here, in another tab or on another device. It concerns the notifications that it names, and no others. */
export function markAsRead(model: InboxModel, notificationIds: readonly number[], readAt: string): InboxModel {
  const named = new Set(notificationIds)
  const unknown = new Set(named)
  for (const { notificationId } of model.items) unknown.delete(notificationId)
  // Of too many, the newest are kept, since those are the ones that may still arrive.
  const early = [...unknown].toSorted((a, b) => a - b).map((id) => [id, readAt] as const)
  return {
    ...model,
    items: model.items.map((item) => (item.readAt === null && named.has(item.notificationId) ? { ...item, readAt } : item)),
    earlyReads: early.length === 0 ? model.earlyReads : new Map([...model.earlyReads, ...early].slice(-maxEarlyReads)),
  }
}

/** Removes items that are no longer stored. */
export function removeItems(model: InboxModel, notificationIds: readonly number[]): InboxModel {
  const removed = new Set(notificationIds)
  return { ...model, items: model.items.filter(({ notificationId }) => !removed.has(notificationId)) }
}

/**
 * Sets the server's unread count, unless it belongs to an older read state. `sameRevision` accepts an equal one too: the count was read
 * after the state it replaces.
 */
export function applyCount(
  model: InboxModel,
  { unreadCount, revision }: UnreadCount,
  { sameRevision = false }: { sameRevision?: boolean } = {},
): InboxModel {
  if (revision < model.revision || (revision === model.revision && !sameRevision)) return model
  return { ...model, unreadCount, revision }
}

export function addMark(model: InboxModel, mark: Mark): InboxModel {
  return { ...model, marks: [...model.marks, mark] }
}

export function dropMark(model: InboxModel, mark: Mark): InboxModel {
  return { ...model, marks: model.marks.filter((each) => each !== mark) }
}

/** Returns what the application sees: the model with unconfirmed marks applied. */
export function view(model: InboxModel): Pick<InboxState, 'items' | 'unreadCount' | 'hasMore'> {
  const { marks, unreadCount, cursor } = model
  const markOf = (item: InboxItem) =>
    item.readAt === null ? marks.find(({ notificationIds }) => notificationIds.has(item.notificationId)) : undefined
  const items = marks.length === 0 ? model.items : model.items.map((item) => withMark(item, markOf(item)))
  const marked = model.items.filter((item) => markOf(item) !== undefined).length
  // A count that was read before an arrival may be lower than the number of unread items shown.
  const shown = items.filter((item) => item.readAt === null).length
  // After read-all, only items that are newer or arrived later are unread.
  const readAll = marks.some(({ older }) => older)
  return { items, unreadCount: readAll ? shown : Math.max(shown, unreadCount - marked), hasMore: cursor !== null }
}

function withMark(item: InboxItem, mark: Mark | undefined): InboxItem {
  return mark ? { ...item, readAt: mark.readAt } : item
}

/** Merges by id. Items of the first list win, but a read item never becomes unread. */
function union(items: readonly InboxItem[], others: readonly InboxItem[]): InboxItem[] {
  const byId = new Map(others.map((item) => [item.notificationId, item]))
  for (const item of items)
    byId.set(item.notificationId, { ...item, readAt: item.readAt ?? byId.get(item.notificationId)?.readAt ?? null })
  return [...byId.values()]
}

function sorted(items: readonly InboxItem[]): InboxItem[] {
  return items.toSorted((a, b) => b.notificationId - a.notificationId)
}

/** Returns the items of a page. A mark may have come while the page was being read. */
function itemsOf({ earlyReads }: InboxModel, page: InboxPage): InboxItem[] {
  return page.items.map((item) => itemOf({ ...item, readAt: item.readAt ?? earlyReads.get(item.notificationId) ?? null }))
}

function itemOf(item: InboxPage['items'][number]): InboxItem {
  const { memberId, data, ...rest } = item
  return {
    ...rest,
    ...(memberId !== undefined && { memberId }),
    ...(data !== undefined && { data }),
    broadcast: memberId === undefined,
  }
}
