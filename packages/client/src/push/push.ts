import type { ApiResult } from '../api-result.ts'
import { Cell, type Store } from '../store.ts'
import type { TidingsError } from '../tidings-error.ts'

export interface PushState {
  /**
   * - `unknown`: not read yet, or the server could not be asked.
   * - `unsupported`: the browser has no web push, or the option `push` is not set. On iOS only an installed web app has it.
   * - `unconfigured`: the server has no VAPID keys.
   * - `denied`: the user has blocked notifications.
   * - `off`, `on`: whether this browser is subscribed for the member.
   */
  readonly state: 'unknown' | 'unsupported' | 'unconfigured' | 'denied' | 'off' | 'on'
  /** Whether `enable()` or `disable()` is running. */
  readonly busy: boolean
  /** The failure of the last `enable()`. */
  readonly error?: TidingsError
}

/** Notifications of this browser while no tab is open. The state is read when it is subscribed to. */
export interface Push extends Store<PushState> {
  /** Asks for permission and subscribes. Call it from a click. Resolves to whether push is on. */
  readonly enable: () => Promise<boolean>
  /** Unsubscribes this browser. Resolves to whether push is on. */
  readonly disable: () => Promise<boolean>
}

/** The option `push`, made by `webPush()`. */
export type WebPush = (page: PushPage) => PagePush

/** What web push needs from the page. */
export interface PushPage {
  readonly api: PushApi
  readonly apiUrl: string
  /** Opens the path of a notification that was clicked. */
  open(redirectPath: string): void
  /** Reports a failure to the application. */
  failed(error: TidingsError): void
  /** To whom the cookie of the page belongs; undefined until it is known. */
  member(): number | string | undefined
  /** The service worker has shown a notification. */
  shown(): void
}

/** The calls of notify-api that web push needs. */
interface PushApi {
  get<T>(path: string, expected?: number): Promise<ApiResult<T>>
  put<T>(path: string, body: object): Promise<ApiResult<T>>
  delete<T>(path: string, body: object): Promise<ApiResult<T>>
}

/** Web push and the service worker of one page. */
export interface PagePush extends Push {
  /** Listens to the service worker. Returns a function that ends this. */
  attach(): () => void
  /** Shows a notification by the service worker. Resolves to false if that is not registered, unless `register` is set. */
  show(title: string, options: NotificationOptions, register: boolean): Promise<boolean>
  /** Resolves to the notifications that the service worker shows. */
  shown(): Promise<readonly Notification[]>
  /** The member of the page is known: keeps their subscription alive, and ends that of another member. */
  resume(memberId: number | string): Promise<void>
  /** Unsubscribes: the push service accepts nothing more for this browser, even if the server cannot be reached. */
  forget(): Promise<void>
}

const off = async () => false

/** Of a page without the option `push`. */
export const noPush: Push = { ...storeOf({ state: 'unsupported', busy: false }), enable: off, disable: off }

function storeOf(state: PushState): Store<PushState> {
  const { getSnapshot, subscribe } = new Cell(state)
  return { getSnapshot, subscribe }
}
