import type { MemberId, SessionMessage } from '@tidings/protocol'
import { sessionDestination } from '@tidings/protocol/destination'
import type { HttpApi } from '../http-api.ts'
import type { Settings } from '../options.ts'
import { backoffMs, resetsBackoff } from './backoff.ts'
import { type CloseAction, closeAction } from './close-action.ts'
import type { ConnectionState, ConnectionStatus, StopReason } from './connection-state.ts'
import type { SessionRenewal } from './session-renewal.ts'
import { type Greeting, type HeartBeat, type Message, StompSession, type Subscribed, type Subscription } from './stomp-session.ts'

export type LinkState = Omit<ConnectionState, 'leader'>

export interface LinkListener {
  /** The member of the session. Called before anything that arrives on it. */
  member(memberId: MemberId): void
  /** Returns what each session subscribes to. */
  subscriptions(): Iterable<Subscription>
  state(state: LinkState): void
  subscribed(subscribed: Subscribed): void
  message(message: Message): void
  /** The gateway refuses a destination. Returns whether the next session does without it. */
  refused(destination: string): boolean
}

export interface LinkDeps {
  readonly settings: Settings
  readonly api: Pick<HttpApi, 'probe'>
  readonly renewal: SessionRenewal
  /** Logs one line for developers. */
  readonly log: (line: string) => void
}

/** Consecutive renewals after which the gateway still refuses the token. */
const maxVainRenewals = 2
/** Shortest time between an attempt and the next one that `wake` hurries. */
const minAttemptGapMs = 1_000
/** The gateway sends `expiring` at most this long before the token expires. */
const expiringNoticeMs = 60_000
/** The token is renewed no earlier than this share of its remaining time before it expires. */
const maxRenewalShare = 0.5
/** Jitter: the time between renewal and expiry is multiplied by a random factor from this to 1. */
const minRenewalFactor = 0.8
/** `setTimeout` fires at once for longer delays. */
const maxTimerMs = 2 ** 31 - 1

/**
 * Keeps one session open: connects, reconnects, renews the token before it expires, and stops when the gateway refuses it.
 *
 * ```text
 * status                    #live #opening #retry  leaves this state when
 * stopped, unauthorized       –      –       –     start() opens a session
 * connecting, reconnecting    –      S       –     S is ready: connected; S closes: see #react
 * reconnecting                –      –       –     the probe of the HTTP API, or the renewal of the token, has resolved
 * reconnecting, offline       –      –       R     the timer or wake() runs R, which opens a session or renews
 * connected                   L      –       –     L closes: see #react; the token expires soon: S opens beside L
 * connected                   L      S       –     S is ready: it replaces L; S closes: another follows later; L closes: S stays
 * ```
 */
export class Link {
  readonly #settings: Settings
  readonly #api: Pick<HttpApi, 'probe'>
  readonly #renewal: SessionRenewal
  readonly #log: (line: string) => void
  readonly #listener: LinkListener
  #heartBeat: HeartBeat = 'worker'
  #status: ConnectionStatus = 'stopped'
  #live: StompSession | undefined
  /** Becomes `#live` when it is ready. */
  #opening: StompSession | undefined
  /** Attempt that waits for `#retryTimer` or `wake`. */
  #retry: (() => void) | undefined
  #retryDueAt = 0
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  /** Starts the renewal of the token, or the next session that is to replace `#live`. */
  #renewalTimer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  /** The gateway refused a destination that the next session does without. */
  #excluded = false
  #vainRenewals = 0
  #readyAt = 0
  #attemptedAt = Number.NEGATIVE_INFINITY
  /** When the token of the live session expires, in Unix seconds. */
  #expiresAt: number | undefined
  /** The `#expiresAt` for which a renewal was tried and needs no other. */
  #renewedExpiresAt: number | undefined
  /** The delay from the gateway's `draining` message. */
  #announcedDelayMs: number | undefined
  /** Incremented by every start and end, so that what was awaited across one is discarded. */
  #generation = 0

  constructor({ settings, api, renewal, log }: LinkDeps, listener: LinkListener) {
    this.#settings = settings
    this.#api = api
    this.#renewal = renewal
    this.#log = log
    this.#listener = listener
  }

  /** Connects, unless already connected or connecting. */
  start(): void {
    if (this.#status !== 'stopped' && this.#status !== 'unauthorized') return
    this.#generation += 1
    this.#failures = 0
    this.#vainRenewals = 0
    this.#renewedExpiresAt = undefined
    this.#setState({ status: 'connecting' })
    this.#open()
  }

  /** Resolves when all sessions are closed. */
  async stop(): Promise<void> {
    const sessions = [this.#live, this.#opening].filter((session) => session !== undefined)
    this.#end({ status: 'stopped' })
    await Promise.all(sessions.map((session) => session.close()))
  }

  /** The network is back, or a tab became visible: probes the live session, and hurries a pending retry. */
  wake(): void {
    this.#live?.probe()
    if (!this.#retry) return
    const now = performance.now()
    const hurriedAt = this.#attemptedAt + minAttemptGapMs
    if (now >= Math.min(hurriedAt, this.#retryDueAt)) this.#runRetry()
    else if (hurriedAt < this.#retryDueAt) this.#scheduleRetry(hurriedAt - now, this.#status)
  }

  /** Replaces the live session with one that has the cookie of this moment. The live one stays until the other is ready. */
  reopen(): void {
    if (this.#live && !this.#opening) this.#open()
  }

  /** The page permits no worker: sends heart-beats with a timer from now on, in a session that replaces the live one. */
  beatWithTimer(): void {
    if (this.#heartBeat === 'timer') return
    this.#heartBeat = 'timer'
    this.reopen()
  }

  subscribe(destination: string, lastMessageId?: string): void {
    for (const session of [this.#live, this.#opening]) session?.subscribe(destination, lastMessageId)
  }

  /** Sends a request to the application. `handled` is not called if the session ends before it was handled, or if there is none. */
  send(destination: string, body: object, handled: () => void): void {
    this.#live?.send(destination, body, handled)
  }

  unsubscribe(destination: string): void {
    for (const session of [this.#live, this.#opening]) session?.unsubscribe(destination)
  }

  #open(): void {
    this.#attemptedAt = performance.now()
    this.#excluded = false
    const { url, connectTimeoutMs } = this.#settings
    this.#opening = new StompSession(
      { url, connectTimeoutMs, heartBeat: this.#heartBeat, log: this.#log },
      {
        greeted: ({ memberId }) => this.#greeted(memberId),
        subscriptions: () => this.#listener.subscriptions(),
        subscribed: (subscribed) => this.#listener.subscribed(subscribed),
        message: (message) => this.#message(message),
        refused: (destination) => {
          this.#excluded = this.#listener.refused(destination)
        },
        ready: (session, greeting) => this.#ready(session, greeting),
        closed: (session, end) => this.#closed(session, end),
      },
    )
  }

  #greeted(memberId: MemberId): void {
    const live = this.#live
    if (live && live.memberId !== memberId) {
      // Another member has signed in: nothing more of the previous one may arrive.
      void live.close()
      this.#live = undefined
      clearTimeout(this.#renewalTimer)
      this.#setState({ status: 'reconnecting' })
    }
    this.#listener.member(memberId)
  }

  #ready(session: StompSession, { expiresAt }: Greeting): void {
    // Close the old session only now that the new one has subscribed: in between, a message arrives on one of them or on both, never on
    // neither. Resume points drop the repeat.
    void this.#live?.close()
    this.#live = session
    this.#opening = undefined
    this.#announcedDelayMs = undefined
    this.#vainRenewals = 0
    this.#readyAt = performance.now()
    this.#expiresAt = expiresAt
    this.#scheduleRenewal(expiresAt * 1_000 - Date.now())
    this.#setState({ status: 'connected' })
    if (session.heartBeat !== this.#heartBeat) this.reopen()
  }

  #message(message: Message): void {
    if (message.destination !== sessionDestination) return this.#listener.message(message)
    const notice = JSON.parse(message.body) as SessionMessage
    if (notice.type === 'gap') this.#listener.subscribed({ destination: notice.destination, outcome: 'lost' })
    if (notice.type === 'draining') this.#announcedDelayMs = notice.reconnectAfterMs
    if (notice.type === 'expiring') {
      // The page's clock may be wrong: the token still holds, and for no longer than the gateway's notice.
      this.#scheduleRenewal(Math.min(Math.max(notice.expiresAt * 1_000 - Date.now(), 1), expiringNoticeMs))
    }
  }

  #closed(session: StompSession, end: { code: number; reason: string; wasConnected: boolean }): void {
    if (session === this.#live) {
      this.#live = undefined
      clearTimeout(this.#renewalTimer)
      if (this.#opening) return this.#setState({ status: 'reconnecting' })
      if (resetsBackoff({ code: end.code, livedMs: performance.now() - this.#readyAt })) this.#failures = 0
    } else if (session === this.#opening) {
      this.#opening = undefined
      if (this.#live) return this.#retryRenewal(() => this.reopen())
    } else return // a session of an earlier generation
    if (this.#excluded) return this.#react({ action: 'reconnect', afterMs: 0 })
    this.#react(closeAction({ ...end, delayMs: this.#announcedDelayMs }))
  }

  #react(action: CloseAction): void {
    this.#announcedDelayMs = undefined
    if (action.action === 'stop') this.#end({ status: 'stopped', reason: action.reason })
    if (action.action === 'renew') void this.#renewAndOpen()
    if (action.action === 'probe') void this.#probeApi()
    if (action.action === 'reconnect') this.#retryLater(() => this.#open(), { afterMs: action.afterMs })
  }

  async #probeApi(): Promise<void> {
    const generation = this.#generation
    this.#setState({ status: this.#status === 'offline' ? 'offline' : 'reconnecting' })
    const result = await this.#api.probe()
    if (generation !== this.#generation) return
    if (result === 'unauthorized') await this.#renewAndOpen()
    else this.#retryLater(() => this.#open(), { offline: result === 'unreachable' })
  }

  async #renewAndOpen(): Promise<void> {
    const generation = this.#generation
    this.#setState({ status: 'reconnecting' })
    const outcome = this.#vainRenewals < maxVainRenewals ? await this.#renewal.renew() : 'refused'
    if (generation !== this.#generation) return
    if (outcome === 'refused') return this.#end({ status: 'unauthorized' })
    // Connecting without a renewed token would be in vain, so the renewal is what is retried.
    if (outcome === 'failed') return this.#retryLater(() => void this.#renewAndOpen(), { offline: true })
    this.#vainRenewals += 1
    return this.#open()
  }

  /** Retries after `afterMs`, or with backoff. */
  #retryLater(
    attempt: () => void,
    { afterMs, offline = !navigator.onLine }: { afterMs?: number | undefined; offline?: boolean },
  ): void {
    this.#retry = attempt
    this.#scheduleRetry(afterMs ?? backoffMs(this.#failures++, this.#settings), offline ? 'offline' : 'reconnecting')
  }

  #scheduleRetry(delayMs: number, status: ConnectionStatus): void {
    clearTimeout(this.#retryTimer)
    this.#retryDueAt = performance.now() + delayMs
    this.#retryTimer = setTimeout(() => this.#runRetry(), delayMs)
    this.#setState({ status, retryAt: Date.now() + delayMs })
  }

  #runRetry(): void {
    const retry = this.#retry
    if (!retry) return
    this.#retry = undefined
    clearTimeout(this.#retryTimer)
    this.#attemptedAt = performance.now()
    this.#setState({ status: this.#status })
    retry()
  }

  /** A negative `remainingMs` of a token just accepted means that the page's clock is wrong: the gateway's `expiring` will follow. */
  #scheduleRenewal(remainingMs: number): void {
    clearTimeout(this.#renewalTimer)
    if (!(remainingMs > 0)) return
    const jitter = minRenewalFactor + Math.random() * (1 - minRenewalFactor)
    const leadMs = Math.min(this.#settings.renewBeforeMs, remainingMs * maxRenewalShare) * jitter
    this.#renewalTimer = setTimeout(() => void this.#renewAhead(), Math.min(remainingMs - leadMs, maxTimerMs))
  }

  /** Renews the token while the live session stays open, then replaces the session. */
  async #renewAhead(): Promise<void> {
    const [generation, expiresAt] = [this.#generation, this.#expiresAt]
    if (!this.#live || this.#opening || this.#renewedExpiresAt === expiresAt) return
    this.#renewedExpiresAt = expiresAt
    const outcome = await this.#renewal.renew()
    if (generation !== this.#generation) return
    if (outcome === 'renewed') return this.reopen()
    // The live session stays until the token expires; the renewal is then tried once more.
    if (outcome === 'refused') return
    this.#renewedExpiresAt = undefined
    this.#retryRenewal(() => void this.#renewAhead())
  }

  /** Retries a renewal, or the replacement of the live session, with backoff. */
  #retryRenewal(attempt: () => void): void {
    clearTimeout(this.#renewalTimer)
    this.#renewalTimer = setTimeout(attempt, backoffMs(++this.#failures, this.#settings))
  }

  #end(state: { status: 'stopped' | 'unauthorized'; reason?: StopReason }): void {
    this.#generation += 1
    clearTimeout(this.#retryTimer)
    clearTimeout(this.#renewalTimer)
    this.#retry = undefined
    this.#live = undefined
    this.#opening = undefined
    this.#setState(state)
  }

  #setState(state: LinkState): void {
    this.#status = state.status
    this.#listener.state(state)
  }
}
