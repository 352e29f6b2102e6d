import type { Store } from '../store.ts'

/** One notification. */
export interface InboxItem {
  readonly notificationId: number
  /** Missing on a broadcast. */
  readonly memberId?: number
  readonly message: string
  /** A path on the application's own origin, checked by the server. */
  readonly redirectPath: string
  readonly data?: Readonly<Record<string, unknown>>
  /** ISO 8601. Of one that arrived live: when it arrived. */
  readonly createdAt: string
  /** ISO 8601; null while unread. */
  readonly readAt: string | null
  readonly broadcast: boolean
}

export interface InboxState {
  /** Newest first, without holes. */
  readonly items: readonly InboxItem[]
  readonly unreadCount: number
  /** `idle` before `start()`; `loading` while there is nothing to show yet or more is being read; `error` when reading has failed. */
  readonly status: 'idle' | 'loading' | 'ready' | 'error'
  /** Whether `loadMore()` has anything to bring. */
  readonly hasMore: boolean
  /** What failed last, for a person to read; gone after the next success. */
  readonly error?: string
}

/** The member's notifications, in step with all tabs and devices. Each call resolves to whether the server accepted; none rejects. */
export interface Inbox extends Store<InboxState> {
  /** Reads the next page. */
  readonly loadMore: () => Promise<boolean>
  /** Shown as read at once; taken back when the server refuses. */
  readonly markRead: (notificationId: number) => Promise<boolean>
  /** All that are shown, and all older ones. */
  readonly markAllRead: () => Promise<boolean>
  /** Reads the newest page and the count again. */
  readonly reload: () => Promise<boolean>
}
