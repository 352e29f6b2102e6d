import type { SessionMessage } from '@tidings/protocol'
import { sessionDestination } from '@tidings/protocol/destination'
import type { HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'
import { backoffMs } from './backoff.ts'
import type { ConnectionState, ConnectionStatus, StopReason } from './connection-state.ts'
import type { Renewal } from './renewal.ts'
import { type Greeting, type Message, StompSession, type Subscribed } from './stomp-session.ts'
import { type Verdict, verdictOf } from './verdict.ts'

export type LinkState = Omit<ConnectionState, 'leader'>

export interface LinkListener {
  /** For whom the connection is; comes before anything that arrives on it. */
  member(memberId: number): void
  /** What to subscribe to, and after which message to resume. */
  wanted(): Iterable<readonly [destination: string, lastMessageId: string | undefined]>
  state(state: LinkState): void
  subscribed(subscribed: Subscribed): void
  message(message: Message): void
}

/** A connection that lived shorter counts as another failure. */
const settledMs = 5_000
/** Renewals in a row that did not help before we give up. */
const maxRenewals = 2
/** `wake()` hurries an attempt at most this often. */
const hurryMs = 1_000
/** The gateway says `expiring` when no more than this is left. */
const expiringMs = 60_000
const maxTimerMs = 2 ** 31 - 1

/** The connection as it should be: opened, reopened, renewed before its token ends, and left alone when that is what we were told. */
export class Link {
  readonly #settings: Settings
  readonly #api: Pick<HttpApi, 'probe'>
  readonly #renewal: Renewal
  readonly #listener: LinkListener
  #status: ConnectionStatus = 'stopped'
  #live: StompSession | undefined
  /** On its way to being the live one; the one before stays meanwhile when the token is renewed. */
  #opening: StompSession | undefined
  #expiresAt: number | undefined
  /** What is put off until `#retryTimer`, or `wake()`. */
  #retry: (() => void) | undefined
  #dueAt = 0
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #expiryTimer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #renewals = 0
  #readyAt = 0
  #triedAt = Number.NEGATIVE_INFINITY
  /** The delay that the live session was told. */
  #toldMs: number | undefined
  /** The `expiresAt` that was renewed, or could not be. */
  #renewedFor: number | undefined
  /** Another one after every start and end, so that what was awaited meanwhile is dropped. */
  #life = 0

  constructor(settings: Settings, api: Pick<HttpApi, 'probe'>, renewal: Renewal, listener: LinkListener) {
    this.#settings = settings
    this.#api = api
    this.#renewal = renewal
    this.#listener = listener
  }

  /** Connects, unless it is at it. */
  start(): void {
    if (this.#status !== 'stopped' && this.#status !== 'unauthorized') return
    this.#life += 1
    this.#failures = 0
    this.#renewals = 0
    this.#renewedFor = undefined
    this.#tell({ status: 'connecting' })
    this.#open()
  }

  async stop(): Promise<void> {
    const sessions = [this.#live, this.#opening].filter((session) => session !== undefined)
    this.#end({ status: 'stopped' })
    await Promise.all(sessions.map((session) => session.close()))
  }

  /** The network is back, or somebody looks: what was put off is done now, and a connection that has died unnoticed is soon given up. */
  wake(): void {
    this.#live?.probe()
    if (!this.#retry) return
    const now = performance.now()
    const hurriedAt = this.#triedAt + hurryMs
    if (now >= Math.min(hurriedAt, this.#dueAt)) this.#proceed()
    else if (hurriedAt < this.#dueAt) this.#putOff(hurriedAt - now, this.#status)
  }

  /** Opens another session with the cookie as it is now, and lets the one before go when it is ready. */
  reopen(): void {
    if (this.#live && !this.#opening) this.#open()
  }

  subscribe(destination: string, lastMessageId?: string): void {
    for (const session of [this.#live, this.#opening]) session?.subscribe(destination, lastMessageId)
  }

  unsubscribe(destination: string): void {
    for (const session of [this.#live, this.#opening]) session?.unsubscribe(destination)
  }

  #open(): void {
    this.#triedAt = performance.now()
    this.#opening = new StompSession(this.#settings.url, this.#settings.connectTimeoutMs, {
      greeted: ({ memberId }) => this.#listener.member(memberId),
      wanted: () => this.#listener.wanted(),
      subscribed: (subscribed) => this.#listener.subscribed(subscribed),
      message: (message) => this.#message(message),
      ready: (session, greeting) => this.#ready(session, greeting),
      closed: (session, end) => this.#closed(session, end),
    })
  }

  #ready(session: StompSession, { expiresAt }: Greeting): void {
    // Only now: what the old one delivered while the new one subscribed is a repeat on one of them, and missing on neither.
    void this.#live?.close()
    this.#live = session
    this.#opening = undefined
    this.#toldMs = undefined
    this.#renewals = 0
    this.#readyAt = performance.now()
    this.#expiresAt = expiresAt
    this.#renewBefore(expiresAt * 1_000 - Date.now())
    this.#tell({ status: 'connected' })
  }

  #message(message: Message): void {
    if (message.destination !== sessionDestination) return this.#listener.message(message)
    const word = JSON.parse(message.body) as SessionMessage
    if (word.type === 'gap') this.#listener.subscribed({ destination: word.destination, outcome: 'lost' })
    if (word.type === 'draining') this.#toldMs = word.reconnectAfterMs
    if (word.type === 'expiring') this.#renewBefore(Math.min(Math.max(word.expiresAt * 1_000 - Date.now(), 1), expiringMs))
  }

  #closed(session: StompSession, end: { code: number; reason: string; wasConnected: boolean }): void {
    if (session === this.#live) {
      this.#live = undefined
      clearTimeout(this.#expiryTimer)
      if (this.#opening) return this.#tell({ status: 'reconnecting' })
      if (performance.now() - this.#readyAt > settledMs) this.#failures = 0
    } else if (session === this.#opening) {
      this.#opening = undefined
      if (this.#live) return this.#later(() => this.reopen())
    } else return
    this.#follow(verdictOf({ ...end, toldMs: this.#toldMs }))
  }

  #follow(verdict: Verdict): void {
    this.#toldMs = undefined
    if (verdict.action === 'stop') this.#end({ status: 'stopped', reason: verdict.reason })
    if (verdict.action === 'renew') void this.#renew()
    if (verdict.action === 'ask') void this.#ask()
    if (verdict.action === 'reconnect') this.#wait(() => this.#open(), { afterMs: verdict.afterMs })
  }

  async #ask(): Promise<void> {
    const life = this.#life
    this.#tell({ status: this.#status === 'offline' ? 'offline' : 'reconnecting' })
    const answer = await this.#api.probe()
    if (life !== this.#life) return
    if (answer === 'unauthorized') await this.#renew()
    else this.#wait(() => this.#open(), { offline: answer === 'unreachable' })
  }

  async #renew(): Promise<void> {
    const life = this.#life
    this.#tell({ status: 'reconnecting' })
    const renewed = this.#renewals < maxRenewals ? await this.#renewal.renew() : 'refused'
    if (life !== this.#life) return
    this.#renewals += 1
    if (renewed === 'refused') return this.#end({ status: 'unauthorized' })
    if (renewed === 'renewed') return this.#open()
    // It was not even asked: that is no renewal that did not help, and connecting without one is in vain.
    this.#renewals -= 1
    return this.#wait(() => void this.#renew(), { offline: true })
  }

  /** Puts off until backoff, or the gateway, allows. */
  #wait(retry: () => void, { afterMs, offline = !navigator.onLine }: { afterMs?: number | undefined; offline?: boolean }): void {
    this.#retry = retry
    this.#putOff(afterMs ?? backoffMs(this.#failures++, this.#settings), offline ? 'offline' : 'reconnecting')
  }

  #putOff(delayMs: number, status: ConnectionStatus): void {
    clearTimeout(this.#retryTimer)
    this.#dueAt = performance.now() + delayMs
    this.#retryTimer = setTimeout(() => this.#proceed(), delayMs)
    this.#tell({ status, retryAt: Date.now() + delayMs })
  }

  #proceed(): void {
    const retry = this.#retry
    if (!retry) return
    this.#retry = undefined
    clearTimeout(this.#retryTimer)
    this.#triedAt = performance.now()
    this.#tell({ status: this.#status })
    retry()
  }

  /** Renews the token well before its end. A `leftMs` below zero, of a token just accepted, is a wrong clock: the gateway will tell. */
  #renewBefore(leftMs: number): void {
    clearTimeout(this.#expiryTimer)
    if (!(leftMs > 0)) return
    const leadMs = Math.min(this.#settings.renewBeforeMs, leftMs / 2) * (0.8 + Math.random() * 0.2)
    this.#expiryTimer = setTimeout(() => void this.#renewQuietly(), Math.min(leftMs - leadMs, maxTimerMs))
  }

  async #renewQuietly(): Promise<void> {
    const [life, expiresAt] = [this.#life, this.#expiresAt]
    if (!this.#live || this.#opening || this.#renewedFor === expiresAt) return
    this.#renewedFor = expiresAt
    const renewed = await this.#renewal.renew()
    if (life !== this.#life) return
    if (renewed === 'renewed') return this.reopen()
    // Refused: it stays connected as long as the token holds, and asks again when it has ended.
    if (renewed === 'refused') return
    this.#renewedFor = undefined
    this.#later(() => void this.#renewQuietly())
  }

  #later(work: () => void): void {
    clearTimeout(this.#expiryTimer)
    this.#expiryTimer = setTimeout(work, backoffMs(++this.#failures, this.#settings))
  }

  #end(state: { status: 'stopped' | 'unauthorized'; reason?: StopReason }): void {
    this.#life += 1
    clearTimeout(this.#retryTimer)
    clearTimeout(this.#expiryTimer)
    this.#retry = undefined
    this.#live = undefined
    this.#opening = undefined
    this.#tell(state)
  }

  #tell(state: LinkState): void {
    this.#status = state.status
    this.#listener.state(state)
  }
}
