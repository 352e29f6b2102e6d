import type { ReadMessage } from '@tidings/protocol'
import type { InboxItem } from './inbox.ts'

/** What becomes of notifications. */
export interface Effect {
  readonly readAt?: string | null
  readonly seen?: true
  readonly archived?: boolean
  readonly removed?: true
}

/** A change that the server has accepted. */
export interface Change extends Effect {
  readonly notificationIds: readonly number[]
  /** Revision of the inbox state that it belongs to. */
  readonly revision: number
}

/** A notification with the revisions of its states: an older change arrives too late. */
export interface Entry {
  readonly item: InboxItem
  readonly readRevision: number
  readonly archivedRevision: number
}

interface Recorded {
  readonly readAt?: string | null
  readonly readRevision: number
  readonly seen: boolean
  readonly archived?: boolean
  readonly archivedRevision: number
  readonly removed: boolean
}

/** Twice as many as one ReadMessage names. */
const maxIds = 2_000

export function changeOf(message: ReadMessage): Change {
  const { revision } = message
  if ('removedIds' in message) return { notificationIds: message.removedIds, revision, removed: true }
  if ('unreadIds' in message) return { notificationIds: message.unreadIds, revision, readAt: null, seen: true }
  if ('seenIds' in message) return { notificationIds: message.seenIds, revision, seen: true }
  if ('archivedIds' in message) return { notificationIds: message.archivedIds, revision, archived: true }
  if ('unarchivedIds' in message) return { notificationIds: message.unarchivedIds, revision, archived: false }
  return { notificationIds: message.notificationIds, revision, readAt: message.readAt, seen: true }
}

/** Returns the item after a change that is not confirmed yet; undefined when it is removed. */
export function withEffect(item: InboxItem, { readAt, seen, archived, removed }: Effect): InboxItem | undefined {
  if (removed) return undefined
  return {
    ...item,
    ...(readAt !== undefined && { readAt }),
    ...(seen && { seen }),
    ...(archived !== undefined && { archived }),
  }
}

/** Returns the entry after a change, without what a later one has set; undefined when it is removed. */
export function withChange(entry: Entry, { revision, readAt, seen, archived, removed }: Change): Entry | undefined {
  const sets = {
    read: readAt !== undefined && revision >= entry.readRevision,
    archived: archived !== undefined && revision >= entry.archivedRevision,
  }
  const item = withEffect(entry.item, {
    ...(sets.read && { readAt }),
    ...(seen && { seen }),
    ...(sets.archived && { archived }),
    ...(removed && { removed }),
  })
  return (
    item && {
      item,
      readRevision: sets.read ? revision : entry.readRevision,
      archivedRevision: sets.archived ? revision : entry.archivedRevision,
    }
  )
}

/**
 * The latest changes, by notification. Notifications, changes and pages come in any order: what is named before it is known gets its state from
 * here, and what was removed does not come back.
 */
export class ChangeLog {
  readonly #byId = new Map<number, Recorded>()

  add(change: Change): void {
    // Of too many, the newest are kept, since those are the ones that may still arrive.
    for (const notificationId of change.notificationIds.toSorted((a, b) => a - b)) {
      const before = this.#byId.get(notificationId) ?? { readRevision: 0, archivedRevision: 0, seen: false, removed: false }
      this.#byId.delete(notificationId)
      this.#byId.set(notificationId, merged(before, change))
    }
    for (const oldest of this.#byId.keys()) {
      if (this.#byId.size <= maxIds) break
      this.#byId.delete(oldest)
    }
  }

  /** Returns an entry with what is recorded of it; undefined when it was removed. */
  applyTo(entry: Entry): Entry | undefined {
    const recorded = this.#byId.get(entry.item.notificationId)
    if (!recorded) return entry
    const { readAt, readRevision, seen, archived, archivedRevision, removed } = recorded
    const withRead = withChange(entry, {
      notificationIds: [],
      revision: readRevision,
      ...(readAt !== undefined && { readAt }),
      ...(seen && { seen }),
      ...(removed && { removed }),
    })
    if (!withRead || archived === undefined) return withRead
    return withChange(withRead, { notificationIds: [], revision: archivedRevision, archived })
  }

  removed(notificationId: number): boolean {
    return this.#byId.get(notificationId)?.removed === true
  }

  clear(): void {
    this.#byId.clear()
  }
}

function merged(before: Recorded, { revision, readAt, seen, archived, removed }: Change): Recorded {
  return {
    ...before,
    ...(readAt !== undefined && revision >= before.readRevision && { readAt, readRevision: revision }),
    ...(archived !== undefined && revision >= before.archivedRevision && { archived, archivedRevision: revision }),
    seen: before.seen || seen === true,
    removed: before.removed || removed === true,
  }
}
