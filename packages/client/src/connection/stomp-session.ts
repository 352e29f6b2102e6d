import { Client, type IFrame, TickerStrategy, Versions } from '@stomp/stompjs'
import type { MemberId } from '@tidings/protocol'
import { errorDestination } from '@tidings/protocol/destination'
import { parseMemberId } from '@tidings/protocol/parse-member-id'
import { abnormalClosure } from './close-action.ts'

/** The gateway's reply to a SUBSCRIBE, from its RECEIPT (PROTOCOL.md §5, RECEIPT). */
export interface Subscribed {
  readonly destination: string
  /** The channel's position at that moment. Missing for the session's own queues. */
  readonly position?: string
  /**
   * `fresh`: no resume was requested. `lost`: it was, and the history no longer reaches back that far. `refused`: the gateway does not
   * permit the destination, from the ERROR.
   */
  readonly outcome: 'fresh' | 'recovered' | 'lost' | 'refused'
}

export interface Message {
  readonly destination: string
  readonly messageId: string
  readonly body: string
}

/** What to subscribe to, and the message to resume after. */
export type Subscription = readonly [destination: string, lastMessageId: string | undefined]

/** Facts from the CONNECTED frame. */
export interface Greeting {
  readonly memberId: MemberId
  /** When the token expires, in Unix seconds. */
  readonly expiresAt: number
}

export interface SessionListener {
  /** CONNECTED was received. */
  greeted(greeting: Greeting): void
  /** Returns what to subscribe to. Called after `greeted`. */
  subscriptions(): Iterable<Subscription>
  /** CONNECTED and the RECEIPTs of all `subscriptions` were received. */
  ready(session: StompSession, greeting: Greeting): void
  subscribed(subscribed: Subscribed): void
  message(message: Message): void
  /** The gateway refuses the destination, and closes the session. */
  refused(destination: string): void
  /** The session has ended. Called once, and never after `close`. */
  closed(session: StompSession, end: { code: number; reason: string; wasConnected: boolean }): void
}

/** What sends heart-beats. Browsers throttle the timers of a hidden tab to one a minute, but not those of a worker. */
export type HeartBeat = 'worker' | 'timer'

export interface SessionOptions {
  readonly url: string
  readonly connectTimeoutMs: number
  readonly heartBeat: HeartBeat
  /** Logs one line for developers. */
  readonly log: (line: string) => void
}

/** How long `close` waits for the gateway's part of the closing handshake. */
const closeTimeoutMs = 1_000
/** A probed connection that receives nothing for this long is dead. */
const probeTimeoutMs = 3_000
const probeId = 'probe'
/** Shortest heart-beat interval that is offered. The gateway's HEART_BEAT_MS may lengthen it. */
const heartBeatMs = 1_000
/** A connection without any frame for this many heart-beat intervals is dead. */
const silentHeartBeats = 2.5

/** One STOMP session, from the opening of its WebSocket to its end. The only file that knows stompjs. */
export class StompSession {
  readonly heartBeat: HeartBeat
  readonly #listener: SessionListener
  readonly #client: Client
  readonly #connectTimer: ReturnType<typeof setTimeout>
  /** Destinations whose RECEIPT is outstanding. */
  readonly #awaited = new Set<string>()
  /** The destination of each SUBSCRIBE and SEND whose RECEIPT is outstanding, by the `receipt` header. */
  readonly #requested = new Map<string, string>()
  #receipts = 0
  /** When a frame or heart-beat was last received. */
  #heardAt = Date.now()
  /** Longest silence of a live connection; 0 when the gateway sends no heart-beats. */
  #maxSilenceMs = 0
  #probing = false
  #greeting: Greeting | undefined
  #ready = false
  #over = false

  constructor({ url, connectTimeoutMs, heartBeat, log }: SessionOptions, listener: SessionListener) {
    this.heartBeat = heartBeat
    this.#listener = listener
    this.#client = new Client({
      brokerURL: url,
      stompVersions: new Versions([Versions.V1_2]),
      connectHeaders: { host: new URL(url).host },
      reconnectDelay: 0,
      heartbeatStrategy: heartBeat === 'worker' ? TickerStrategy.Worker : TickerStrategy.Interval,
      debug: log,
      discardWebsocketOnCommFailure: true,
      heartbeatIncoming: heartBeatMs,
      heartbeatOutgoing: heartBeatMs,
      onHeartbeatReceived: () => this.#heard(),
      onConnect: (frame) => this.#connected(frame),
      onStompError: ({ headers }) => this.#refused(headers['receipt-id'] ?? ''),
      onWebSocketClose: ({ code, reason }: CloseEvent) => this.#end(code, reason),
    })
    this.#connectTimer = setTimeout(() => this.abort(), connectTimeoutMs)
    this.#client.activate()
  }

  /** Undefined before CONNECTED. */
  get memberId(): MemberId | undefined {
    return this.#greeting?.memberId
  }

  /**
   * Aborts a connection that has died unnoticed: at once when it has been silent for too long, as after the computer slept; otherwise
   * when nothing is received within `probeTimeoutMs`.
   */
  probe(): void {
    if (this.#maxSilenceMs > 0 && Date.now() - this.#heardAt > this.#maxSilenceMs) return this.abort()
    if (this.#probing || !this.#client.connected) return
    this.#probing = true
    const probedAt = Date.now()
    setTimeout(() => {
      if (this.#heardAt < probedAt) this.abort()
    }, probeTimeoutMs)
    // STOMP has no ping. The gateway confirms a subscription to the session's own queue without Redis.
    const receipt = this.#receipt(() => {
      probe.unsubscribe()
      this.#probing = false
    })
    const probe = this.#client.subscribe(errorDestination, () => {}, { id: probeId, receipt })
  }

  subscribe(destination: string, lastMessageId?: string): void {
    if (!this.#client.connected) return
    const receipt = this.#receipt(({ headers }) => {
      this.#listener.subscribed({
        destination,
        ...(headers['position'] && { position: headers['position'] }),
        outcome: lastMessageId === undefined ? 'fresh' : headers['recovered'] === 'false' ? 'lost' : 'recovered',
      })
      this.#requested.delete(receipt)
      this.#awaited.delete(destination)
      this.#checkReady()
    })
    this.#requested.set(receipt, destination)
    // The same id in every browser: the gateway encodes a MESSAGE once for each distinct id.
    this.#client.subscribe(
      destination,
      ({ headers, body }) => {
        this.#heard()
        if (!this.#over) this.#listener.message({ destination, messageId: headers['message-id'] ?? '', body })
      },
      { id: destination, receipt, ...(lastMessageId !== undefined && { 'last-message-id': lastMessageId }) },
    )
  }

  /** Sends a request to the application. `handled` is called when it has reached the HTTP API, refused or not. */
  send(destination: string, body: object, handled: () => void): void {
    if (!this.#client.connected) return
    const receipt = this.#receipt(() => {
      this.#requested.delete(receipt)
      handled()
    })
    this.#requested.set(receipt, destination)
    this.#client.publish({ destination, body: JSON.stringify(body), headers: { receipt } })
  }

  unsubscribe(destination: string): void {
    if (this.#client.connected) this.#client.unsubscribe(destination)
  }

  /** Disconnects, and waits up to `closeTimeoutMs` for the gateway to confirm. `closed` is not called. */
  async close(): Promise<void> {
    this.#over = true
    clearTimeout(this.#connectTimer)
    const force = setTimeout(() => void this.#client.deactivate({ force: true }), closeTimeoutMs)
    await this.#client.deactivate()
    clearTimeout(force)
  }

  /** Discards the connection at once. `closed` is called as for a lost connection. */
  abort(): void {
    void this.#client.deactivate({ force: true })
    this.#end(abnormalClosure, '')
  }

  /** Registers a callback for a RECEIPT. Returns the value for the `receipt` header. */
  #receipt(received: (frame: IFrame) => void): string {
    const receipt = `receipt-${this.#receipts++}`
    this.#client.watchForReceipt(receipt, (frame) => {
      this.#heard()
      received(frame)
    })
    return receipt
  }

  #connected({ headers }: IFrame): void {
    this.#greeting = { memberId: parseMemberId(headers['user-name']) as MemberId, expiresAt: Number(headers['expires-at']) }
    const gatewayMs = Number(headers['heart-beat']?.split(',')[0] ?? 0)
    this.#maxSilenceMs = gatewayMs && Math.max(gatewayMs, heartBeatMs) * silentHeartBeats
    this.#heard()
    this.#listener.greeted(this.#greeting)
    const subscriptions = [...this.#listener.subscriptions()]
    for (const [destination] of subscriptions) this.#awaited.add(destination)
    for (const [destination, lastMessageId] of subscriptions) this.subscribe(destination, lastMessageId)
  }

  #refused(receipt: string): void {
    const destination = this.#requested.get(receipt)
    if (destination !== undefined && !this.#over) this.#listener.refused(destination)
  }

  #heard(): void {
    this.#heardAt = Date.now()
  }

  #checkReady(): void {
    if (this.#ready || this.#over || this.#awaited.size > 0 || !this.#greeting) return
    this.#ready = true
    clearTimeout(this.#connectTimer)
    this.#listener.ready(this, this.#greeting)
  }

  #end(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#connectTimer)
    this.#listener.closed(this, { code, reason, wasConnected: this.#greeting !== undefined })
  }
}
