/** The texts of the bell in English. `bell.texts` replaces any of them, also by those of another language. */
export const en = {
  title: 'Inbox',
  /** Label of the bell for screen readers. */
  label: (unread: number): string => (unread === 0 ? 'Inbox, nothing unread' : `Inbox, ${unread} unread`),
  /** Announced by screen readers when a notification arrives. */
  arrived: (message: string): string => `New notification: ${message}`,
  unread: 'Unread',
  markRead: 'Mark as read',
  markUnread: 'Mark as unread',
  archive: 'Archive',
  unarchive: 'Move to the inbox',
  remove: 'Delete',
  /** Of a notification that stands for several. */
  times: (count: number): string => `${count} times`,
  markAllRead: 'Mark all read',
  /** The button that shows notifications that have arrived while the panel was open. */
  held: (count: number): string => `${count} new`,
  toEveryone: 'To everyone',
  now: 'just now',
  more: 'Show more',
  less: 'Show less',
  close: 'Close',
  loading: 'Loading your inbox',
  loadMore: 'Load more',
  loadingMore: 'Loading more',
  end: 'That is everything.',
  /** Label of the tabs for screen readers. */
  lists: 'Lists',
  all: 'All',
  archived: 'Archived',
  emptyUnread: 'Nothing unread',
  emptyArchived: 'Nothing archived',
  empty: 'Nothing yet',
  emptyHint: 'What is sent to you appears here, and stays.',
  error: 'The inbox could not be read',
  errorHint: 'Nothing is lost: it is kept on the server.',
  retry: 'Try again',
  refused: 'That was not saved. Try again.',
  disconnected: 'Not connected. New notifications appear as soon as the connection is back.',
  signedOut: 'Your session has ended. Sign in again.',
  stopped: 'Paused. New notifications appear after you reconnect.',
  reconnect: 'Reconnect',
  /** Label of the switch for web push. */
  push: 'Notify me when no tab is open',
  pushDenied: 'Your browser blocks notifications from this site. Allow them in its settings to be notified when no tab is open.',
  pushFailed: 'That did not work. Try again.',
}

export type BellTexts = typeof en
