import type { Store } from '../store.ts'

/** One notification in the inbox. */
export interface InboxItem {
  readonly notificationId: number
  /** Missing on a broadcast. */
  readonly memberId?: number | string
  readonly message: string
  /** A path on the application's own origin, validated by the server. */
  readonly redirectPath: string
  readonly data?: Readonly<Record<string, unknown>>
  /** ISO 8601. For one that has just arrived: the time of its arrival. */
  readonly createdAt: string
  /** ISO 8601; null while unread. */
  readonly readAt: string | null
  readonly broadcast: boolean
}

export interface InboxState {
  /** Newest first, without gaps. */
  readonly items: readonly InboxItem[]
  readonly unreadCount: number
  /** `idle` before `start()`; `loading` during the first read and `loadMore()`; `error` after a read failed. */
  readonly status: 'idle' | 'loading' | 'ready' | 'error'
  /** Whether there are older notifications for `loadMore()`. */
  readonly hasMore: boolean
  /** Human-readable text of the last failure. Removed by the next success. */
  readonly error?: string
}

/** The member's notifications, kept equal in all tabs and devices. Each call resolves to whether the server accepted it; none rejects. */
export interface Inbox extends Store<InboxState> {
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
