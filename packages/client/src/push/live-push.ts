import type { MemberId } from '@tidings/protocol'
import type { ApiResult } from '../api-result.ts'
import { requestPermission } from '../page/browser-notification.ts'
import { Cell } from '../store.ts'
import type { TidingsError } from '../tidings-error.ts'
import type { NotificationWorker } from './notification-worker.ts'
import type { PagePush, PushPage, PushState } from './push.ts'
import { onWorkerMessage } from './worker-message.ts'

/** What `localStorage` keeps of the subscription of this browser. */
interface StoredSubscription {
  readonly memberId: MemberId
  readonly endpoint: string
  /** When the server had it last, in ms. */
  readonly putAt: number
}

const storageKey = 'tidings push'
/** At a start after this time, a subscription is stored again: the server may have lost it. */
const putAgainMs = 60_000

/** The push subscription of this browser. It belongs to one member: that of another one is removed. */
export class LivePush implements PagePush {
  readonly #page: PushPage
  readonly #worker: NotificationWorker
  readonly #cell = new Cell<PushState>({ state: 'unknown', busy: false })

  constructor(page: PushPage, worker: NotificationWorker) {
    this.#page = page
    this.#worker = worker
  }

  readonly getSnapshot = (): PushState => this.#cell.getSnapshot()

  readonly subscribe = (listener: (value: PushState) => void): (() => void) => {
    const { state, busy } = this.getSnapshot()
    if (!busy && state !== 'unconfigured') void this.#read()
    return this.#cell.subscribe(listener)
  }

  readonly enable = async (): Promise<boolean> => {
    if (!isSupported()) return this.#set('unsupported')
    this.#cell.set({ ...this.getSnapshot(), busy: true })
    // First: afterwards the click may no longer count.
    const permission = await requestPermission()
    if (permission !== 'granted') return this.#set(permission === 'denied' ? 'denied' : 'off')
    const key = await this.#readKey()
    if (!key.ok) return key.status === 404 ? this.#set('unconfigured') : this.#set('off', key.error)
    try {
      const registration = await this.#worker.register()
      const result = await this.#put(registration, key.body.publicKey)
      return result.ok ? this.#set('on') : this.#set('off', result.error)
    } catch (error) {
      const failure = { code: 'push-failed', message: String(error) } as const
      this.#page.failed(failure)
      return this.#set('off', failure)
    }
  }

  readonly disable = async (): Promise<boolean> => {
    this.#cell.set({ ...this.getSnapshot(), busy: true })
    await this.forget()
    return this.#set('off')
  }

  attach(): () => void {
    return onWorkerMessage({
      shown: () => this.#page.shown(),
      opens: ({ memberId }) => memberId === undefined || memberId === this.#page.member(),
      open: (path) => this.#page.open(path),
    })
  }

  async show(title: string, options: NotificationOptions, register: boolean): Promise<boolean> {
    const registration = register ? await this.#worker.register() : await this.#worker.find()
    await registration?.showNotification(title, options)
    return registration !== undefined
  }

  async shown(): Promise<readonly Notification[]> {
    return (await (await this.#worker.find())?.getNotifications()) ?? []
  }

  async forget(): Promise<void> {
    const subscription = await this.#find()
    store(undefined)
    if (!subscription) return
    const { endpoint } = subscription
    await Promise.all([this.#page.api.delete('/push/subscription', { endpoint }), subscription.unsubscribe().catch(() => {})])
  }

  async resume(memberId: MemberId): Promise<void> {
    const stored = load()
    if (!stored) return
    const subscription = await this.#find()
    if (stored.memberId !== memberId || !subscription) {
      store(undefined)
      // The server removes it when the push service refuses the next push.
      await subscription?.unsubscribe().catch(() => {})
      return
    }
    if (stored.endpoint === subscription.endpoint && Date.now() - stored.putAt < putAgainMs) return
    store({ ...stored, putAt: Date.now() })
    const [registration, key] = [await this.#worker.find(), await this.#readKey()]
    if (registration && key.ok) await this.#put(registration, key.body.publicKey, stored.endpoint).catch(() => {})
  }

  /** Subscribes, unless that was done with the same key, and stores the subscription on the server. */
  async #put(registration: ServiceWorkerRegistration, key: string, before?: string): Promise<ApiResult<unknown>> {
    const { pushManager } = registration
    const existing = await pushManager.getSubscription()
    const old = existing?.endpoint ?? before
    if (existing && textOf(existing.options.applicationServerKey) !== key) await existing.unsubscribe()
    const subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key })
    const { endpoint } = subscription
    const lang = document.documentElement.lang || navigator.language
    const result = await this.#page.api.put('/push/subscription', {
      ...subscription.toJSON(),
      lang,
      ...(old !== undefined && old !== endpoint && { replaces: old }),
    })
    const memberId = this.#page.member()
    if (result.ok && memberId !== undefined) store({ memberId, endpoint, putAt: Date.now() })
    else if (!result.ok && before === undefined) await subscription.unsubscribe()
    return result
  }

  async #read(): Promise<void> {
    if (!isSupported()) return void this.#set('unsupported')
    if (Notification.permission === 'denied') return void this.#set('denied')
    const subscription = await this.#find()
    if (subscription && load()?.memberId === this.#page.member()) return void this.#set('on')
    // Known before: the server has keys.
    const key = this.getSnapshot().state === 'off' ? ({ ok: true } as const) : await this.#readKey()
    if (this.getSnapshot().busy) return
    if (key.ok) this.#set('off')
    else if (key.status === 404) this.#set('unconfigured')
  }

  #readKey(): Promise<ApiResult<{ readonly publicKey: string }>> {
    return this.#page.api.get('/push/key', 404)
  }

  async #find(): Promise<PushSubscription | null | undefined> {
    return (await this.#worker.find())?.pushManager.getSubscription()
  }

  /** Returns whether push is on. */
  #set(state: PushState['state'], error?: TidingsError): boolean {
    this.#cell.set({ state, busy: false, ...(error && { error }) })
    return state === 'on'
  }
}

function isSupported(): boolean {
  return 'PushManager' in globalThis && 'Notification' in globalThis && 'serviceWorker' in navigator
}

/** Returns the key as base64url. */
function textOf(key: ArrayBuffer | null): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(key ?? new ArrayBuffer(0))))
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

function load(): StoredSubscription | undefined {
  try {
    return (JSON.parse(localStorage.getItem(storageKey) ?? 'null') as StoredSubscription | null) ?? undefined
  } catch {
    return undefined
  }
}

function store(subscription: StoredSubscription | undefined): void {
  try {
    if (subscription) localStorage.setItem(storageKey, JSON.stringify(subscription))
    else localStorage.removeItem(storageKey)
  } catch {
    // The page has no access to storage: the subscription is read as off.
  }
}
