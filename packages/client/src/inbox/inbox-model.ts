import type { InboxPage, ReadMessage, UnreadCount } from '@tidings/protocol'
import type { InboxItem, InboxState } from './inbox.ts'

/** A mark that the server has not answered yet. Exactly one of `notificationId` and `upTo` is there. */
export interface Mark {
  readonly notificationId?: number | undefined
  readonly upTo?: number | undefined
  readonly readAt: string
}

/** What is known of the inbox. All functions below answer a new one. */
export interface InboxModel {
  /** As the server has them, newest first, without holes. */
  readonly items: readonly InboxItem[]
  /** Whether a page was read; before that there is only what arrived live. */
  readonly loaded: boolean
  /** Where older ones go on; null when there are none. */
  readonly cursor: number | null
  readonly unreadCount: number
  /** Of the read state that `unreadCount` belongs to. */
  readonly revision: number
  /** What was read before it was seen here: all up to a notification, and single ones. */
  readonly readUpTo: { readonly upTo: number; readonly readAt: string }
  readonly readEarly: ReadonlyMap<number, string>
  readonly marks: readonly Mark[]
}

const maxReadEarly = 200
/** Items kept when new ones come; the oldest can be read again. */
const maxItems = 1_000

export const emptyInbox: InboxModel = {
  items: [],
  loaded: false,
  cursor: null,
  unreadCount: 0,
  revision: 0,
  readUpTo: { upTo: 0, readAt: '' },
  readEarly: new Map(),
  marks: [],
}

export function has(model: InboxModel, notificationId: number): boolean {
  return model.items.some((item) => item.notificationId === notificationId)
}

/** 0 when there is none. */
export function newestId({ items }: InboxModel): number {
  return items[0]?.notificationId ?? 0
}

/** One that arrived live. It counts as unread unless it was read elsewhere already. The same model when it is there. */
export function arrive(model: InboxModel, item: InboxItem): InboxModel {
  if (has(model, item.notificationId)) return model
  const { upTo, readAt } = model.readUpTo
  const read = item.readAt ?? model.readEarly.get(item.notificationId) ?? (item.notificationId <= upTo ? readAt : null)
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
 * The newest page. `whole`: up to which notification nothing was missed. What lies below the page stays when the page reaches down to
 * there, and is dropped when a hole would be left.
 */
export function mergeNewest(model: InboxModel, page: InboxPage, whole: number = newestId(model)): InboxModel {
  const items = page.items.map(itemOf)
  const oldest = items.at(-1)?.notificationId ?? 0
  const newer = model.items.filter((item) => item.notificationId >= oldest)
  const older = page.nextCursor === null ? [] : model.items.filter((item) => item.notificationId < oldest)
  const reached = model.loaded && oldest <= whole
  return {
    ...model,
    loaded: true,
    items: sorted([...union(items, newer), ...(reached ? older : [])]),
    cursor: reached && page.nextCursor !== null ? model.cursor : page.nextCursor,
  }
}

/** Oldest first: what the page has and the model had not, above what the model reaches down to. */
export function newSince({ items, cursor }: InboxModel, page: InboxPage): number[] {
  const known = new Set(items.map(({ notificationId }) => notificationId))
  const floor = cursor === null ? 0 : (items.at(-1)?.notificationId ?? 0)
  return page.items
    .map(({ notificationId }) => notificationId)
    .filter((id) => !known.has(id) && id > floor)
    .toReversed()
}

/** The page that follows on what is there. */
export function mergeOlder(model: InboxModel, page: InboxPage): InboxModel {
  return { ...model, items: sorted(union(page.items.map(itemOf), model.items)), cursor: page.nextCursor }
}

/** Somebody has read: here, in another tab, on another device. */
export function markAsRead(model: InboxModel, message: Pick<ReadMessage, 'notificationId' | 'upTo' | 'readAt'>): InboxModel {
  const { notificationId, upTo, readAt } = message
  const { readUpTo } = model
  const unseen = notificationId !== undefined && !has(model, notificationId)
  return {
    ...model,
    items: model.items.map((item) => (item.readAt === null && covers(message, item) ? { ...item, readAt } : item)),
    readUpTo: upTo !== undefined && upTo > readUpTo.upTo ? { upTo, readAt } : readUpTo,
    readEarly: unseen ? new Map([...model.readEarly, [notificationId, readAt] as const].slice(-maxReadEarly)) : model.readEarly,
  }
}

/** The server's own count. One of an older read state than the last is out of date; `sameRevision`: asked for after it. */
export function count(
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

/** What the application sees: what is known, with the marks that are on their way. */
export function view(model: InboxModel): Pick<InboxState, 'items' | 'unreadCount' | 'hasMore'> {
  const { marks, unreadCount, cursor } = model
  const markOf = (item: InboxItem) => (item.readAt === null ? marks.find((mark) => covers(mark, item)) : undefined)
  const items = marks.length === 0 ? model.items : model.items.map((item) => withMark(item, markOf(item)))
  const marked = model.items.filter((item) => markOf(item) !== undefined).length
  // A count that crossed with an arrival may be lower than what is there to be seen.
  const shown = items.filter((item) => item.readAt === null).length
  // Read-all leaves only what has come since, and that is all here.
  const readAll = marks.some((mark) => mark.upTo !== undefined)
  return { items, unreadCount: readAll ? shown : Math.max(shown, unreadCount - marked), hasMore: cursor !== null }
}

function withMark(item: InboxItem, mark: Mark | undefined): InboxItem {
  return mark ? { ...item, readAt: mark.readAt } : item
}

function covers({ notificationId, upTo }: Pick<Mark, 'notificationId' | 'upTo'>, item: InboxItem): boolean {
  return item.notificationId === notificationId || (upTo !== undefined && item.notificationId <= upTo)
}

/** The first list has the say, but nothing that was read becomes unread. */
function union(items: readonly InboxItem[], others: readonly InboxItem[]): InboxItem[] {
  const byId = new Map(others.map((item) => [item.notificationId, item]))
  for (const item of items)
    byId.set(item.notificationId, { ...item, readAt: item.readAt ?? byId.get(item.notificationId)?.readAt ?? null })
  return [...byId.values()]
}

function sorted(items: readonly InboxItem[]): InboxItem[] {
  return items.toSorted((a, b) => b.notificationId - a.notificationId)
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
