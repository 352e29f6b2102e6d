import type { InboxPage } from '@tidings/protocol'
import { type Change, type Effect, type Entry, withChange, withEffect } from './change.ts'
import type { InboxFilter, InboxItem } from './inbox.ts'

/** A list of the inbox as it is stored on the server. Immutable: the functions below return a new one, or the same when nothing changes. */
export interface ItemList {
  readonly filter: InboxFilter
  /** Newest first, without gaps. They may no longer match the filter: then they are not shown. */
  readonly entries: readonly Entry[]
  /** Whether a page was read. Before that, there are only arrivals. */
  readonly loaded: boolean
  /** Where the next older page starts; null when there is none. */
  readonly cursor: number | null
}

/** A change that was sent and is not confirmed yet. */
export interface Pending {
  readonly notificationIds: ReadonlySet<number>
  readonly effect: Effect
  /** Whether it also makes everything older than these read, or seen. */
  readonly older?: 'read' | 'seen'
}

/** Entries kept when one arrives. Those that are dropped can be read again. */
const maxEntries = 1_000

export function emptyList(filter: InboxFilter): ItemList {
  return { filter, entries: [], loaded: false, cursor: null }
}

export function find({ entries }: Pick<ItemList, 'entries'>, notificationId: number): Entry | undefined {
  return entries.find(({ item }) => item.notificationId === notificationId)
}

/** Returns 0 when there is none. */
export function newestId({ entries }: ItemList): number {
  return entries[0]?.item.notificationId ?? 0
}

export function matches({ kind, unread, archived }: InboxFilter, item: InboxItem): boolean {
  return item.archived === (archived === true) && (!unread || item.readAt === null) && (kind === undefined || item.kind === kind)
}

/** Whether a notification with this id belongs between the entries of a list. */
export function reaches({ loaded, cursor }: ItemList, notificationId: number): boolean {
  return loaded && (cursor === null || notificationId >= cursor)
}

/** Adds an entry. Returns the same list when it is known. */
export function addEntry(list: ItemList, entry: Entry): ItemList {
  if (find(list, entry.item.notificationId)) return list
  const entries = sorted([entry, ...list.entries])
  const kept = entries.length > maxEntries ? entries.slice(0, maxEntries) : entries
  return { ...list, entries: kept, cursor: kept === entries ? list.cursor : (kept.at(-1)?.item.notificationId ?? null) }
}

interface NewestPage {
  readonly completeUpTo?: number
  readonly knownBefore: ReadonlySet<number>
  readonly revision: number
}

/**
 * Merges the newest page. `completeUpTo` is the newest notification below which nothing is missing. Entries below the page stay when the
 * page reaches down to it, and are dropped when they would leave a gap. So are those of `knownBefore` that the page lacks, unless they changed
 * after its `revision`: the page was requested when these were known.
 */
export function mergeNewest(
  list: ItemList,
  page: readonly Entry[],
  nextCursor: number | null,
  { completeUpTo = newestId(list), knownBefore, revision }: NewestPage,
): ItemList {
  const oldest = nextCursor ?? 0
  const newer = list.entries.filter(({ item: { notificationId }, readRevision, archivedRevision }) => {
    if (notificationId < oldest) return false
    return !knownBefore.has(notificationId) || Math.max(readRevision, archivedRevision) > revision
  })
  const older = nextCursor === null ? [] : list.entries.filter(({ item }) => item.notificationId < oldest)
  const reached = list.loaded && oldest <= completeUpTo
  return {
    ...list,
    loaded: true,
    entries: sorted([...union(page, newer), ...(reached ? older : [])]),
    cursor: reached && nextCursor !== null ? list.cursor : nextCursor,
  }
}

/** Appends the page that follows the entries. */
export function mergeOlder(list: ItemList, page: readonly Entry[], nextCursor: number | null): ItemList {
  return { ...list, entries: sorted(union(page, list.entries)), cursor: nextCursor }
}

/** Applies a change that was made here, in another tab or on another device. It concerns what it names, and nothing else. */
export function applyChange(list: ItemList, change: Change): ItemList {
  const named = new Set(change.notificationIds)
  if (!list.entries.some(({ item }) => named.has(item.notificationId))) return list
  return {
    ...list,
    entries: list.entries.flatMap((entry) => (named.has(entry.item.notificationId) ? (withChange(entry, change) ?? []) : entry)),
  }
}

/** Returns what the application sees: the matching items, with unconfirmed changes applied. */
export function shownItems({ entries, filter }: ItemList, pending: readonly Pending[]): readonly InboxItem[] {
  return entries.flatMap(({ item }) => {
    const shown = withPending(item, pending)
    return shown && matches(filter, shown) ? [shown] : []
  })
}

/** Returns the item with unconfirmed changes; undefined when they remove it. */
export function withPending(item: InboxItem, pending: readonly Pending[]): InboxItem | undefined {
  let shown: InboxItem | undefined = item
  for (const { notificationIds, effect } of pending) {
    if (shown && notificationIds.has(item.notificationId)) shown = withEffect(shown, effect)
  }
  return shown
}

/** Returns the items of a page. They include every change up to the revision of the page. */
export function entriesOf({ items, revision = 0 }: Pick<InboxPage, 'items'> & Partial<InboxPage>): Entry[] {
  return items.map(({ memberId, redirectPath, data, kind, expiresAt, ...rest }) => ({
    item: {
      ...rest,
      ...(memberId !== undefined && { memberId }),
      ...(redirectPath !== undefined && { redirectPath }),
      ...(data !== undefined && { data }),
      ...(kind !== undefined && { kind }),
      ...(expiresAt !== undefined && { expiresAt }),
      broadcast: memberId === undefined,
    },
    readRevision: revision,
    archivedRevision: revision,
  }))
}

/** Merges by id. Of each state, the one with the greater revision counts; that of the first list when they are equal. */
function union(entries: readonly Entry[], others: readonly Entry[]): Entry[] {
  const byId = new Map(others.map((entry) => [entry.item.notificationId, entry]))
  for (const entry of entries) {
    const other = byId.get(entry.item.notificationId)
    byId.set(entry.item.notificationId, other ? newerStates(entry, other) : entry)
  }
  return [...byId.values()]
}

function newerStates(entry: Entry, other: Entry): Entry {
  const read = other.readRevision > entry.readRevision ? other : entry
  const archived = other.archivedRevision > entry.archivedRevision ? other : entry
  return {
    item: {
      ...entry.item,
      readAt: read.item.readAt,
      archived: archived.item.archived,
      seen: entry.item.seen || other.item.seen,
    },
    readRevision: read.readRevision,
    archivedRevision: archived.archivedRevision,
  }
}

function sorted(entries: readonly Entry[]): Entry[] {
  return entries.toSorted((a, b) => b.item.notificationId - a.item.notificationId)
}
