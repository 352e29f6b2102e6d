import type { InboxPage, ReadMessage, UnreadCount } from '@tidings/protocol'
import type { InboxItem, InboxState } from './inbox.ts'

/** A mark that was sent and is not confirmed yet. Has exactly one of `notificationId` and `upTo`. */
export interface Mark {
  readonly notificationId?: number | undefined
  readonly upTo?: number | undefined
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
  /** Marks that may arrive before their notification: the highest `upTo`, and single ones by id. */
  readonly readUpTo: { readonly upTo: number; readonly readAt: string }
  readonly earlyReads: ReadonlyMap<number, string>
  readonly marks: readonly Mark[]
}

const maxEarlyReads = 200
/** Items kept when one arrives. Those that are dropped can be read again. */
const maxItems = 1_000

export const emptyInbox: InboxModel = {
  items: [],
  loaded: false,
  cursor: null,
  unreadCount: 0,
  revision: 0,
  readUpTo: { upTo: 0, readAt: '' },
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
  const { upTo, readAt } = model.readUpTo
  const read = item.readAt ?? model.earlyReads.get(item.notificationId) ?? (item.notificationId <= upTo ? readAt : null)
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
  const items = page.items.map(itemOf)
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
  return { ...model, items: sorted(union(page.items.map(itemOf), model.items)), cursor: page.nextCursor }
}

/** Applies a mark that was made here, in another tab or on another device. */
export function markAsRead(model: InboxModel, message: Pick<ReadMessage, 'notificationId' | 'upTo' | 'readAt'>): InboxModel {
  const { notificationId, upTo, readAt } = message
  const { readUpTo } = model
  const unknown = notificationId !== undefined && !find(model, notificationId)
  return {
    ...model,
    items: model.items.map((item) => (item.readAt === null && covers(message, item) ? { ...item, readAt } : item)),
    readUpTo: upTo !== undefined && upTo > readUpTo.upTo ? { upTo, readAt } : readUpTo,
    earlyReads: unknown
      ? new Map([...model.earlyReads, [notificationId, readAt] as const].slice(-maxEarlyReads))
      : model.earlyReads,
  }
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
  const markOf = (item: InboxItem) => (item.readAt === null ? marks.find((mark) => covers(mark, item)) : undefined)
  const items = marks.length === 0 ? model.items : model.items.map((item) => withMark(item, markOf(item)))
  const marked = model.items.filter((item) => markOf(item) !== undefined).length
  // A count that was read before an arrival may be lower than the number of unread items shown.
  const shown = items.filter((item) => item.readAt === null).length
  // After read-all, only later arrivals are unread, and all of those are in the items.
  const readAll = marks.some((mark) => mark.upTo !== undefined)
  return { items, unreadCount: readAll ? shown : Math.max(shown, unreadCount - marked), hasMore: cursor !== null }
}

function withMark(item: InboxItem, mark: Mark | undefined): InboxItem {
  return mark ? { ...item, readAt: mark.readAt } : item
}

function covers({ notificationId, upTo }: Pick<Mark, 'notificationId' | 'upTo'>, item: InboxItem): boolean {
  return item.notificationId === notificationId || (upTo !== undefined && item.notificationId <= upTo)
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

function itemOf(item: InboxPage['items'][number]): InboxItem {
  const { memberId, data, ...rest } = item
  return {
    ...rest,
    ...(memberId !== undefined && { memberId }),
    ...(data !== undefined && { data }),
    broadcast: memberId === undefined,
  }
}
