import { Client, type IFrame, TickerStrategy, Versions } from '@stomp/stompjs'
import { errorDestination } from '@tidings/protocol/destination'

/** What the gateway said about a SUBSCRIBE, in its RECEIPT (PROTOCOL.md §5, RECEIPT). */
export interface Subscribed {
  readonly destination: string
  /** Where the channel stood; missing for the session's own queues. */
  readonly position?: string
  /** `fresh`: it did not ask to resume. `lost`: it did, and the history no longer reaches back. */
  readonly outcome: 'fresh' | 'recovered' | 'lost'
}

export interface Message {
  readonly destination: string
  readonly messageId: string
  readonly body: string
}

/** From CONNECTED. */
export interface Greeting {
  readonly memberId: number
  /** Unix seconds. */
  readonly expiresAt: number
}

export interface SessionListener {
  /** CONNECTED is here. */
  greeted(greeting: Greeting): void
  /** What to subscribe to, and after which message to resume; asked after `greeted`. */
  wanted(): Iterable<readonly [destination: string, lastMessageId: string | undefined]>
  /** CONNECTED and all RECEIPTs are here. */
  ready(session: StompSession, greeting: Greeting): void
  subscribed(subscribed: Subscribed): void
  message(message: Message): void
  /** Once, unless we closed it. */
  closed(session: StompSession, end: { code: number; reason: string; wasConnected: boolean }): void
}

const lostCode = 1006
const goodbyeMs = 1_000
/** A connection that is probed has this long to give any sign of life. */
const probeMs = 3_000
const probeId = 'probe'
/** How often there are beats is the gateway's to say (HEART_BEAT_MS), down to this. */
const beatMs = 1_000

/** One STOMP conversation, from the opening of its WebSocket to its end. The only file that knows stompjs. */
export class StompSession {
  readonly #listener: SessionListener
  readonly #client: Client
  readonly #deadline: ReturnType<typeof setTimeout>
  /** Destinations whose RECEIPT has not come yet. */
  readonly #awaited = new Set<string>()
  #receipts = 0
  /** When the gateway was heard last, and the longest it may be silent; 0 for ever. */
  #heardAt = Date.now()
  #silenceMs = 0
  #probing = false
  #greeting: Greeting | undefined
  #ready = false
  #over = false

  constructor(url: string, connectTimeoutMs: number, listener: SessionListener) {
    this.#listener = listener
    this.#client = new Client({
      brokerURL: url,
      stompVersions: new Versions([Versions.V1_2]),
      connectHeaders: { host: new URL(url).host },
      reconnectDelay: 0,
      // A hidden tab's timers are slowed down to one a minute, a worker's are not.
      heartbeatStrategy: TickerStrategy.Worker,
      discardWebsocketOnCommFailure: true,
      heartbeatIncoming: beatMs,
      heartbeatOutgoing: beatMs,
      onHeartbeatReceived: () => this.#heard(),
      onConnect: (frame) => this.#connected(frame),
      onWebSocketClose: ({ code, reason }: CloseEvent) => this.#end(code, reason),
    })
    this.#deadline = setTimeout(() => this.abort(), connectTimeoutMs)
    this.#client.activate()
  }

  /**
   * Gives it up if it has died unnoticed: at once when it was silent for longer than a living one is, as it is found when a computer
   * wakes up; otherwise when nothing is heard of it soon.
   */
  probe(): void {
    if (this.#silenceMs > 0 && Date.now() - this.#heardAt > this.#silenceMs) return this.abort()
    if (this.#probing || !this.#client.connected) return
    this.#probing = true
    const askedAt = Date.now()
    setTimeout(() => {
      if (this.#heardAt < askedAt) this.abort()
    }, probeMs)
    // STOMP has no ping. A queue of the session's own is answered for without asking anybody else.
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
      this.#awaited.delete(destination)
      this.#checkReady()
    })
    // The id is the same in every browser: the gateway encodes a MESSAGE once for each distinct id.
    this.#client.subscribe(
      destination,
      ({ headers, body }) => {
        this.#heard()
        if (!this.#over) this.#listener.message({ destination, messageId: headers['message-id'] ?? '', body })
      },
      { id: destination, receipt, ...(lastMessageId !== undefined && { 'last-message-id': lastMessageId }) },
    )
  }

  unsubscribe(destination: string): void {
    if (this.#client.connected) this.#client.unsubscribe(destination)
  }

  /** Says goodbye, and waits for the answer a moment. The listener hears no more of it. */
  async close(): Promise<void> {
    this.#over = true
    clearTimeout(this.#deadline)
    const patience = setTimeout(() => void this.#client.deactivate({ force: true }), goodbyeMs)
    await this.#client.deactivate()
    clearTimeout(patience)
  }

  /** Gives it up without a word: the listener hears that it was lost. */
  abort(): void {
    void this.#client.deactivate({ force: true })
    this.#end(lostCode, '')
  }

  /** The name of a RECEIPT to ask for. */
  #receipt(received: (frame: IFrame) => void): string {
    const receipt = `receipt-${this.#receipts++}`
    this.#client.watchForReceipt(receipt, (frame) => {
      this.#heard()
      received(frame)
    })
    return receipt
  }

  #connected({ headers }: IFrame): void {
    this.#greeting = { memberId: Number(headers['user-name']), expiresAt: Number(headers['expires-at']) }
    const theirMs = Number(headers['heart-beat']?.split(',')[0] ?? 0)
    this.#silenceMs = theirMs && Math.max(theirMs, beatMs) * 2.5
    this.#heard()
    this.#listener.greeted(this.#greeting)
    const wanted = [...this.#listener.wanted()]
    for (const [destination] of wanted) this.#awaited.add(destination)
    for (const [destination, lastMessageId] of wanted) this.subscribe(destination, lastMessageId)
  }

  #heard(): void {
    this.#heardAt = Date.now()
  }

  #checkReady(): void {
    if (this.#ready || this.#over || this.#awaited.size > 0 || !this.#greeting) return
    this.#ready = true
    clearTimeout(this.#deadline)
    this.#listener.ready(this, this.#greeting)
  }

  #end(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#deadline)
    this.#listener.closed(this, { code, reason, wasConnected: this.#greeting !== undefined })
  }
}
