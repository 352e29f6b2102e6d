import type { UnreadCount } from '@tidings/protocol'
import type { Entry } from './change.ts'
import type { InboxItem, InboxState } from './inbox.ts'
import { addEntry, emptyList, find, type ItemList, type Pending, shownItems, withPending } from './item-list.ts'

/** What is known of the inbox. Immutable: the functions below return a new one, or the same when nothing changes. */
export interface InboxModel {
  readonly list: ItemList
  readonly unreadCount: number
  readonly unseenCount: number
  /** Revision of the inbox state that the counts belong to. */
  readonly revision: number
  readonly pending: readonly Pending[]
}

export const emptyInbox: InboxModel = { list: emptyList({}), unreadCount: 0, unseenCount: 0, revision: 0, pending: [] }

const isUnread = (item: InboxItem | undefined) => item !== undefined && item.readAt === null && !item.archived
const isUnseen = (item: InboxItem | undefined) => isUnread(item) && !item?.seen

/** Adds an arrival. It counts as unread unless a mark for it came before. Returns the same model when it is known. */
export function addArrival(model: InboxModel, entry: Entry): InboxModel {
  if (find(model.list, entry.item.notificationId)) return model
  return addToCounts({ ...model, list: addEntry(model.list, entry) }, entry.item, 1)
}

/** Counts one notification more (1) or less (-1), as far as it counts. */
export function addToCounts(model: InboxModel, item: InboxItem, sign: 1 | -1): InboxModel {
  return {
    ...model,
    unreadCount: Math.max(0, model.unreadCount + (isUnread(item) ? sign : 0)),
    unseenCount: Math.max(0, model.unseenCount + (isUnseen(item) ? sign : 0)),
  }
}

/**
 * Sets the server's counts, unless they belong to an older state. `sameRevision` accepts an equal one too: the counts were read after the
 * state they replace.
 */
export function applyCount(
  model: InboxModel,
  // An older server does not send `unseenCount`.
  { unreadCount, unseenCount = model.unseenCount, revision }: Omit<UnreadCount, 'unseenCount'> & Partial<UnreadCount>,
  { sameRevision = false }: { sameRevision?: boolean } = {},
): InboxModel {
  if (revision < model.revision || (revision === model.revision && !sameRevision)) return model
  return { ...model, unreadCount, unseenCount, revision }
}

export function addPending(model: InboxModel, pending: Pending): InboxModel {
  return { ...model, pending: [...model.pending, pending] }
}

export function dropPending(model: InboxModel, pending: Pending): InboxModel {
  return { ...model, pending: model.pending.filter((each) => each !== pending) }
}

/**
 * Returns what the application sees: the model with unconfirmed changes applied. `known` returns a notification that is in any list of the
 * inbox.
 */
export function view(
  { list, pending, unreadCount, unseenCount }: InboxModel,
  known: (notificationId: number) => Entry | undefined = (notificationId) => find(list, notificationId),
): Pick<InboxState, 'items' | 'unreadCount' | 'unseenCount' | 'hasMore'> {
  const items = shownItems(list, pending)
  const changed = [...new Set(pending.flatMap(({ notificationIds }) => [...notificationIds]))].flatMap(
    (notificationId) => known(notificationId)?.item ?? [],
  )
  /** Counts that were read before an arrival may be lower than the number of the items shown. */
  const count = (counts: (item: InboxItem | undefined) => boolean, stored: number, onlyShown: boolean) => {
    const shown = items.filter(counts).length
    // After a mark of all older ones, only items that are newer or arrived later count.
    if (onlyShown) return shown
    const difference = changed.reduce((sum, item) => sum + Number(counts(withPending(item, pending))) - Number(counts(item)), 0)
    return Math.max(shown, stored + difference)
  }
  return {
    items,
    unreadCount: count(
      isUnread,
      unreadCount,
      pending.some(({ older }) => older === 'read'),
    ),
    unseenCount: count(
      isUnseen,
      unseenCount,
      pending.some(({ older }) => older !== undefined),
    ),
    hasMore: list.cursor !== null,
  }
}
