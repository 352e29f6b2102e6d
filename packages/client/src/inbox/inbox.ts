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
  readonly redirectPath: string
  readonly data?: Data
  /** ISO 8601. For one that has just arrived: the time of its arrival. */
  readonly createdAt: string
  /** ISO 8601; null while unread. */
  readonly readAt: string | null
  readonly broadcast: boolean
}

export interface InboxState<Data extends object = AnyData> {
  /** Newest first, without gaps. */
  readonly items: readonly InboxItem<Data>[]
  readonly unreadCount: number
  /** `idle` before `start()`; `loading` during the first read and `loadMore()`; `error` after a read failed. */
  readonly status: 'idle' | 'loading' | 'ready' | 'error'
  /** Whether there are older notifications for `loadMore()`. */
  readonly hasMore: boolean
  /** The last failure. Removed by the next success. */
  readonly error?: TidingsError
}

/** The member's notifications, kept equal in all tabs and devices. Each call resolves to whether the server accepted it; none rejects. */
export interface Inbox<Data extends object = AnyData> extends Store<InboxState<Data>> {
  /** Reads the next page. */
  readonly loadMore: () => Promise<boolean>
  /** Shows the notification as read at once. Undone when the server refuses. */
  readonly markRead: (notificationId: number) => Promise<boolean>
  /**
   * Marks the notification `upTo` and all older ones. Pass the newest one that the page has shown, if it is not the first of `items`, which
   * is the default. What arrives later is not marked.
   */
  readonly markAllRead: (upTo?: number) => Promise<boolean>
  /** Reads the newest page and the count again. */
  readonly reload: () => Promise<boolean>
}
