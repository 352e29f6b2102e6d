import type { AnyData, InboxItem } from './inbox/inbox.ts'
import { plainTitle } from './page/title.ts'
import type { WebPush } from './push/push.ts'
import type { TidingsError } from './tidings-error.ts'

/** All options may be omitted. */
export interface TidingsOptions<Data extends object = AnyData> {
  /** URL of the gateway. Default: `/ws` of the page's own origin. */
  readonly url?: string
  /** Base URL of notify-api, without a trailing slash. Default: the page's own origin. */
  readonly apiUrl?: string
  /**
   * Renews the cookie. Called before the token expires and when it is refused, in one tab at a time. Resolve to false when the cookie
   * cannot be renewed: the state becomes `unauthorized`. A rejection is retried. Default: none, as if it resolved to false.
   */
  readonly refreshSession?: () => Promise<boolean>
  /** How long before it expires the token is renewed, but no more than half of its remaining time. Default: 60,000. */
  readonly renewBeforeMs?: number
  /** Whether all tabs of the origin share one connection. Default: true. */
  readonly shareConnection?: boolean
  /** Tabs share a connection only within one scope. Default: `''`. */
  readonly scope?: string
  /** Longest delay of the first reconnect. It doubles with each failure. Default: 1,000. */
  readonly reconnectBaseMs?: number
  /** Longest delay of any reconnect, unless a gateway announces a longer one. Default: 30,000. */
  readonly reconnectMaxMs?: number
  /** Timeout of an attempt to connect. Default: 10,000. */
  readonly connectTimeoutMs?: number
  /** Timeout of a call of the HTTP API, and of `refreshSession`. Default: 15,000. */
  readonly requestTimeoutMs?: number
  /** Notifications per page of the inbox, 1 to 100. Default: 20. */
  readonly pageSize?: number
  /** Shows notifications of the browser while no tab is focused, once permission was granted. Default: true. */
  readonly browserNotifications?: boolean
  /** Returns the content of a browser notification. Default: the page's title, and the message. */
  readonly describe?: (item: InboxItem<Data>) => { readonly title: string; readonly body?: string; readonly icon?: string }
  /** Called when a browser notification is clicked. Default: `location.assign(redirectPath)`. */
  readonly open?: (redirectPath: string) => void
  /** `webPush()` of `@tidings/client/push`: notifications while no tab is open. Default: none. */
  readonly push?: WebPush
  /** Shows the unread count before the page's title, as in `(3) Orders`. Default: false. */
  readonly updateTitle?: boolean
  /** Shows the unread count on the icon of the installed app. Default: false. */
  readonly updateBadge?: boolean
  /** Called with each request that failed, and once with each fault of the page or the system. The states say the same where they matter. */
  readonly onError?: (error: TidingsError) => void
  /** Logs what the client does, frames without their bodies included: to the console, or line by line to a function. Default: false. */
  readonly debug?: boolean | ((line: string) => void)
}

/** The options, with defaults for those that were omitted. */
export interface Settings extends Required<Omit<TidingsOptions, 'refreshSession' | 'push'>> {
  readonly refreshSession?: () => Promise<boolean>
  readonly push?: WebPush
}

export function settingsOf(options: TidingsOptions): Settings {
  // Empty on a server, where `start()` does nothing.
  const origin = 'location' in globalThis ? location.origin : ''
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
    onError: () => {},
    debug: false,
    ...definedOf(options),
  }
}

/** Drops options that are undefined, so that they do not replace a default. */
function definedOf(options: TidingsOptions): TidingsOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
