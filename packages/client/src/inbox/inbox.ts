import type { TidingsError } from '../tidings-error.ts'
import type { Store } from '../store.ts'

/** `data` of which nothing is known. */
export type AnyData = Readonly<Record<string, unknown>>

/** One notification in the inbox. The type of its `data` is not checked. */
export interface InboxItem<Data extends object = AnyData> {
  readonly notificationId: number
  /** Missing on a broadcast. */
  readonly memberId?: number | string
  readonly message: string
  /** A path on the application's own origin, validated by the server. */
  readonly redirectPath?: string
  readonly data?: Data
  readonly kind?: string
  /** Number of notifications that this one stands for: more than 1 when it replaced others with its collapse key. */
  readonly count: number
  /** The notification that this one has replaced. Only of one that has just arrived. */
  readonly replacedId?: number
  /** ISO 8601. From then on it is not listed. */
  readonly expiresAt?: string
  /** ISO 8601. For one that has just arrived: the time of its arrival. */
  readonly createdAt: string
  /** ISO 8601; null while unread. */
  readonly readAt: string | null
  /** True also for what was read. */
  readonly seen: boolean
  readonly archived: boolean
  readonly broadcast: boolean
}

/** What a list of the inbox holds: notifications of one kind, unread ones, or archived ones instead of all others. */
export interface InboxFilter {
  readonly kind?: string
  readonly unread?: true
  readonly archived?: true
}

export interface InboxViewState<Data extends object = AnyData> {
  /** Newest first, without gaps. */
  readonly items: readonly InboxItem<Data>[]
  /** `idle` before it is first read; `loading` during the first read and `loadMore()`; `error` after a read failed. */
  readonly status: 'idle' | 'loading' | 'ready' | 'error'
  /** Whether there are older notifications for `loadMore()`. */
  readonly hasMore: boolean
  /** The last failure. Removed by the next success. */
  readonly error?: TidingsError
}

/** A part of the inbox. It is read, and kept up to date, while it is subscribed to. */
export interface InboxView<Data extends object = AnyData> extends Store<InboxViewState<Data>> {
  /** Reads the next page. Resolves to whether the server accepted it. */
  readonly loadMore: () => Promise<boolean>
}

/** The inbox without what is archived or expired. */
export interface InboxState<Data extends object = AnyData> extends InboxViewState<Data> {
  readonly unreadCount: number
  /** Number of unread notifications that were not seen. */
  readonly unseenCount: number
}

export interface KindCount {
  readonly unread: number
  readonly unseen: number
}

/**
 * The member's notifications, kept equal in all tabs and devices. Each call resolves to whether the server accepted it; none rejects. A change is
 * shown at once, and undone when the server refuses.
 */
export interface Inbox<Data extends object = AnyData> extends Store<InboxState<Data>> {
  /** Reads the next page. */
  readonly loadMore: () => Promise<boolean>
  readonly markRead: (notificationId: number) => Promise<boolean>
  /** It counts as seen. */
  readonly markUnread: (notificationId: number) => Promise<boolean>
  readonly archive: (notificationId: number) => Promise<boolean>
  readonly unarchive: (notificationId: number) => Promise<boolean>
  /** Deletes it from this inbox. */
  readonly remove: (notificationId: number) => Promise<boolean>
  /**
   * Marks the notification `upTo` and all older ones as seen, which does not make them read. Pass the newest one that the page has shown, if it is
   * not the first of `items`, which is the default.
   */
  readonly markSeen: (upTo?: number) => Promise<boolean>
  /** Like {@link markSeen}, as read; with `kind` only those of this kind. What arrives later is not marked. */
  readonly markAllRead: (upTo?: number, kind?: string) => Promise<boolean>
  /** Reads the newest page and the count again. */
  readonly reload: () => Promise<boolean>
  /** Returns the same view for an equal filter while it is subscribed to. */
  readonly view: (filter: InboxFilter) => InboxView<Data>
  /**
   * Returns the counts of up to 20 kinds, read while they are subscribed to; the same store for the same kinds meanwhile. 0 until they are read.
   */
  readonly countsByKind: (kinds: readonly string[]) => Store<Readonly<Record<string, KindCount>>>
}
