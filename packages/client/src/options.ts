import type { InboxItem } from './inbox/inbox.ts'
import { plainTitle } from './page/title.ts'

/** Every option may be left out. */
export interface TidingsOptions {
  /** The gateway. Default: `/ws` of the page's own origin. */
  readonly url?: string
  /** notify-api, without a slash at the end. Default: the page's own origin. */
  readonly apiUrl?: string
  /**
   * Renews the cookie, before it ends and when it is refused. False: it cannot be renewed, and the state becomes `unauthorized`. A
   * rejection counts as 'not now' and is tried again. Called in one tab at a time. Default: none, as if it answered false.
   */
  readonly refreshSession?: () => Promise<boolean>
  /** How long before its end the token is renewed, at most; half of its remaining time when that is shorter. Default: 60,000. */
  readonly renewBeforeMs?: number
  /** One connection for all tabs of the origin. Default: true. */
  readonly shareConnection?: boolean
  /** Keeps apart what several members share who use one browser: tabs share a connection only within a scope. Default: `''`. */
  readonly scope?: string
  /** The first reconnect comes within this time, each further one within twice as much. Default: 1,000. */
  readonly reconnectBaseMs?: number
  /** No reconnect is put off longer than this. Default: 30,000. */
  readonly reconnectMaxMs?: number
  /** An attempt to connect is given up after this time. Default: 10,000. */
  readonly connectTimeoutMs?: number
  /** A call of the HTTP API is given up after this time. Default: 15,000. */
  readonly requestTimeoutMs?: number
  /** Notifications in a page of the inbox, 1 to 100. Default: 20. */
  readonly pageSize?: number
  /** Shows notifications of the browser while no tab is looked at, once `requestPermission()` was granted. Default: true. */
  readonly browserNotifications?: boolean
  /** What a browser notification says. Default: the page's title, and the message. */
  readonly describe?: (item: InboxItem) => { readonly title: string; readonly body?: string; readonly icon?: string }
  /** Where a click on a browser notification leads. Default: `location.assign(redirectPath)`. */
  readonly open?: (redirectPath: string) => void
  /** Puts the unread count before the page's title, as in `(3) Orders`. Default: false. */
  readonly updateTitle?: boolean
  /** Puts the unread count on the installed app's icon. Default: false. */
  readonly updateBadge?: boolean
}

/** Options with their defaults filled in. */
export interface Settings extends Required<Omit<TidingsOptions, 'refreshSession'>> {
  readonly refreshSession?: () => Promise<boolean>
}

export function settingsOf(options: TidingsOptions): Settings {
  const { origin } = location
  return {
    url: `${origin.replace(/^http/, 'ws')}/ws`,
    apiUrl: origin,
    renewBeforeMs: 60_000,
    shareConnection: true,
    scope: '',
    reconnectBaseMs: 1_000,
    reconnectMaxMs: 30_000,
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 15_000,
    pageSize: 20,
    browserNotifications: true,
    describe: ({ message }) => ({ title: plainTitle(), body: message }),
    open: (path) => location.assign(path),
    updateTitle: false,
    updateBadge: false,
    ...given(options),
  }
}

/** An option that is undefined was left out. */
function given(options: TidingsOptions): TidingsOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
