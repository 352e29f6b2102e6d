import { randomUUID } from 'node:crypto'
import type { Log, Principal } from '@tidings/chassis'
import {
  Close,
  type CloseCode,
  type ClientCommand,
  type ErrorMessage,
  type Frame,
  FrameDecoder,
  FrameError,
  formatFrame,
  type HeartBeat,
  type Position,
  heartBeat as lineFeed,
  type ServerCommand,
  type SessionMessage,
  type SessionQueue,
  type StompVersion,
} from '@tidings/protocol'
import type { Limits } from '../config.ts'
import { FrameBudget } from './frame-budget.ts'
import { FrameQueue, type FrameSink } from './frame-queue.ts'
import { handlers } from '../handler/table.ts'
import type { Hub } from '../channel/hub.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Forward } from '../backend/publish-forward.ts'
import type { Subscription } from '../channel/subscription.ts'
import { foldTask, type StoredTask, type TaskSnapshot } from '../backend/task-snapshot.ts'
import { textMessage, type Transport, type TransportListener } from '../socket/transport.ts'

/** What all sessions of a process share. */
export interface SessionContext {
  readonly hub: Hub
  readonly limits: Limits
  readonly metrics: Metrics
  readonly log: Log
  readonly forward: Forward
  readonly storedTask: StoredTask
}

/** Who opened the connection, from the handshake. `credentials` act for the member towards notify-api. */
export interface Peer {
  readonly principal: Principal
  readonly credentials: { readonly token: string; readonly origin: string }
}

/** What a handler leaves to be done: headers of the RECEIPT, and what must come after it. */
export interface Outcome {
  readonly receipt?: readonly (readonly [name: string, value: string])[]
  readonly afterwards?: () => void
}

export type FrameHandler = (session: Session, frame: Frame<ClientCommand>) => Outcome | void | Promise<Outcome | void>

/** Frames that wait for COMMIT. */
export interface Transaction {
  readonly frames: Frame<ClientCommand>[]
  /** Of their headers and bodies together. */
  bytes: number
}

export interface SessionListener {
  ended(session: Session): void
}

/** How often the one timer of the process looks after its sessions. */
export const sweepMs = 500

const silentPeriods = 3
/** A ping after so many leaves one for the answer. */
const pingAfterPeriods = 2
/** A session that is rotated comes back within this. */
const rotationSpreadMs = 1_000
const maxReasonLength = 300
const expiringMs = 60_000
/** A WebSocket message costs a tenth of a frame, so that cutting frames up is no way around the limit. */
const frameCost = 1
const messageCost = 0.1

const noBeats: HeartBeat = { sendMs: 0, expectMs: 0 }
const beat = textMessage(lineFeed)

/** One STOMP conversation over one transport. Its frames are handled strictly one after the other. */
export class Session implements TransportListener, FrameSink {
  readonly id = randomUUID()
  readonly principal: Principal
  readonly credentials: Peer['credentials']
  readonly connectedAt = Date.now()
  /** Undefined until CONNECT was answered. */
  version: StompVersion | undefined = undefined
  /** By the client's id; in STOMP 1.0 without id, by destination. */
  readonly subscriptions = new Map<string, Subscription>()
  /** Open ones, by the client's transaction id. */
  transactions: Map<string, Transaction> | undefined = undefined
  /** ms between our beats, and between the client's; 0 for none. */
  heartBeat: HeartBeat = noBeats
  readonly #context: SessionContext
  readonly #transport: Transport
  readonly #listener: SessionListener
  readonly #decoder: FrameDecoder
  readonly #openedAt = performance.now()
  readonly #rotateAt: number
  #activeAt = this.#openedAt
  #pingedAt = this.#openedAt
  #closed = false
  /** Of a snapshot that its reader does not have yet. */
  #snapshotBytes = 0
  #localMessages = 0
  #expiringTold = false
  readonly #budget: FrameBudget
  readonly #queue = new FrameQueue(this)

  constructor(transport: Transport, peer: Peer, context: SessionContext, listener: SessionListener) {
    this.#transport = transport
    this.#context = context
    this.#listener = listener
    this.principal = peer.principal
    this.credentials = peer.credentials
    this.#decoder = new FrameDecoder(context.limits)
    this.#budget = new FrameBudget(context.limits.maxFramesPerSecond, this.#openedAt)
    // ± 20 %, so that what connected together does not come back together.
    this.#rotateAt = this.#openedAt + context.limits.sessionMaxAgeMs * (0.8 + Math.random() * 0.4)
  }

  get limits(): Limits {
    return this.#context.limits
  }

  get hub(): Hub {
    return this.#context.hub
  }

  get metrics(): Metrics {
    return this.#context.metrics
  }

  get forward(): Forward {
    return this.#context.forward
  }

  /** A task as it stands: from the channel's history, else as notify-api stored it. */
  async taskSnapshot(channel: string, taskId: string, position: Position): Promise<TaskSnapshot> {
    const folded = await foldTask(this.hub.history, channel)
    return folded ?? { state: await this.#context.storedTask(taskId, this.credentials), position }
  }

  get closed(): boolean {
    return this.#closed
  }

  get bufferedBytes(): number {
    return this.#transport.bufferedBytes
  }

  get lastActivityAt(): number {
    return Math.round(performance.timeOrigin + this.#activeAt)
  }

  bytes(bytes: Uint8Array): void {
    if (this.#closed) return
    this.alive()
    if (!this.#spend(messageCost)) return
    try {
      this.#decoder.push(bytes, (frame) => {
        if (!this.#closed && this.#spend(frameCost)) this.#queue.push(frame)
      })
    } catch (error) {
      if (error instanceof FrameError) {
        return this.refuse(Close.badFrame, error.message, { command: error.command ?? 'frame', receipt: error.receipt })
      }
      this.#fail(error)
    }
  }

  alive(): void {
    this.#activeAt = performance.now()
  }

  gone(code: number): void {
    this.#end(code, 'closed by the peer')
  }

  /** CONNECT was accepted: from the next frame on, the version's rules hold. */
  connect(version: StompVersion, heartBeat: HeartBeat): void {
    this.version = version
    this.heartBeat = heartBeat
    this.#decoder.version = version
  }

  /** Sends a whole WebSocket message, and ends a session that leaves too much unread. */
  send(message: Buffer): void {
    this.#transport.send(message)
    if (this.#transport.bufferedBytes > this.limits.maxBufferedBytes + this.#snapshotBytes) this.#tooSlow()
  }

  /** As `send`, but may be larger than MAX_BUFFERED_BYTES. To be called after `drained`, so that one at a time waits; resolves after it. */
  async sendSnapshot(message: Buffer): Promise<void> {
    this.#snapshotBytes = message.length
    this.send(message)
    await this.drained()
    this.#snapshotBytes = 0
  }

  sendFrame(command: ServerCommand, headers: Iterable<readonly [string, string]>): void {
    this.send(textMessage(formatFrame({ command, headers }, this.version)))
  }

  /** Resolves when the reader has caught up, or is gone. */
  drained(): Promise<void> {
    return this.#transport.drained()
  }

  /** The gateway's own word, on `/member/queue/session`; false when the client does not listen to it. */
  tell(message: SessionMessage): boolean {
    return this.#deliverLocal('session', message)
  }

  /** A refused SEND, on `/member/queue/error`. */
  tellError(message: ErrorMessage): void {
    this.#deliverLocal('error', message)
  }

  /** Handles a frame of a committed transaction; its RECEIPT went out when it was sent. */
  async handleCommitted(frame: Frame<ClientCommand>): Promise<void> {
    if (!this.#closed) await handlers[frame.command](this, frame)
  }

  /**
   * Refuses the conversation: ERROR, then close (STOMP 1.2, ERROR). `offender` is the frame that caused it; the ERROR names it and
   * carries its `receipt-id`.
   */
  refuse(code: CloseCode, reason: string, offender?: { command: string; receipt?: string | undefined }): void {
    if (this.#closed) return
    const { receipt } = offender ?? {}
    const headers: [string, string][] = [
      ['content-type', 'text/plain'],
      ['message', printable(reason)],
    ]
    const body = offender ? `${offender.command} was refused: ${reason}\n` : `${reason}\n`
    this.#transport.send(textMessage(this.#formatError(headers, body, receipt)))
    this.close(code, printable(reason))
  }

  /** A receipt that this version cannot echo is left out: refusing must not fail. */
  #formatError(headers: readonly [string, string][], body: string, receipt: string | undefined): string {
    try {
      const all = receipt === undefined ? headers : [...headers, ['receipt-id', receipt] as const]
      return formatFrame({ command: 'ERROR', headers: all, body }, this.version)
    } catch {
      return formatFrame({ command: 'ERROR', headers, body }, this.version)
    }
  }

  refuseFrame(code: CloseCode, reason: string, frame: Frame): void {
    this.refuse(code, reason, { command: frame.command, receipt: frame.headers.get('receipt') })
  }

  close(code: CloseCode, reason: string): void {
    if (this.#closed) return
    this.#transport.close(code, reason)
    this.#end(code, reason)
  }

  /** Tells the client when to come back, then closes: a drain, or a rotation. */
  restart(reconnectAfterMs: number): void {
    this.tell({ type: 'draining', reconnectAfterMs })
    this.close(Close.restarting, `reconnect after ${reconnectAfterMs} ms`)
  }

  /** Everything that time brings; called for each session by the one timer of the process. `now` is `performance.now()`. */
  sweep(now: number): void {
    const { limits, heartBeat } = this
    if (this.version === undefined && now - this.#openedAt > limits.connectTimeoutMs) {
      return this.refuse(Close.timeout, `no CONNECT within ${limits.connectTimeoutMs} ms (CONNECT_TIMEOUT_MS)`)
    }
    if (now - (this.#transport.bufferedSince ?? now) > limits.maxBufferedMs) return this.#tooSlow()
    if (now > this.#rotateAt) return this.restart(Math.round(Math.random() * rotationSpreadMs))
    const expectMs = heartBeat.expectMs || limits.heartBeatMs
    // While we are not reading, the silence is ours.
    if (!this.#queue.paused && now - this.#activeAt > expectMs * silentPeriods) {
      return this.refuse(Close.timeout, `silent for ${silentPeriods} heart-beat periods of ${expectMs} ms`)
    }
    if (heartBeat.sendMs > 0 && now - this.#transport.sentAt >= heartBeat.sendMs - sweepMs) this.#transport.send(beat)
    // Who sends no beats must answer pings.
    const askedAt = Math.max(this.#activeAt, this.#pingedAt)
    if (heartBeat.expectMs === 0 && now - askedAt >= limits.heartBeatMs * pingAfterPeriods) {
      this.#pingedAt = now
      this.#transport.ping()
    }
    return this.#checkExpiry()
  }

  #checkExpiry(): void {
    const { expiresAt } = this.principal
    const leftMs = expiresAt * 1_000 - Date.now()
    if (leftMs <= 0) return this.refuse(Close.unauthorized, 'the token has expired')
    if (leftMs > expiringMs || this.#expiringTold) return
    this.#expiringTold = this.tell({ type: 'expiring', expiresAt })
  }

  /** @internal for the queue: a frame whose turn has come. */
  handle(frame: Frame<ClientCommand>): void | Promise<void> {
    const handshake = frame.command === 'CONNECT' || frame.command === 'STOMP'
    if (!handshake && this.version === undefined) {
      return this.refuseFrame(Close.badFrame, 'the first frame must be CONNECT', frame)
    }
    try {
      const outcome = handlers[frame.command](this, frame)
      return outcome instanceof Promise ? this.#settle(frame, outcome) : this.#finish(frame, outcome)
    } catch (error) {
      this.#fail(error, frame)
    }
  }

  async #settle(frame: Frame, outcome: Promise<Outcome | void>): Promise<void> {
    try {
      this.#finish(frame, await outcome)
    } catch (error) {
      this.#fail(error, frame)
    }
  }

  /** @internal for the queue */
  pause(): void {
    this.#transport.pause()
  }

  /** @internal for the queue */
  resume(): void {
    this.alive()
    this.#transport.resume()
  }

  /** What nobody expected ends this session, and no other. */
  #fail(error: unknown, frame?: Frame): void {
    this.#context.log.error({ err: error, sessionId: this.id, command: frame?.command }, 'frame handler failed')
    const reason = 'the gateway failed: try again'
    if (frame) this.refuseFrame(Close.restarting, reason, frame)
    else this.refuse(Close.restarting, reason)
  }

  #finish(frame: Frame, outcome: Outcome | void): void {
    if (this.#closed) return
    // STOMP 1.2, Receipts: "any client frame other than CONNECT".
    const receipt = frame.command === 'CONNECT' || frame.command === 'STOMP' ? undefined : frame.headers.get('receipt')
    if (receipt !== undefined) this.sendFrame('RECEIPT', [['receipt-id', receipt], ...(outcome?.receipt ?? [])])
    outcome?.afterwards?.()
  }

  /** Every frame and every WebSocket message costs; with nothing left the session ends. */
  #spend(cost: number): boolean {
    if (this.#budget.spend(cost, this.#activeAt)) return true
    const { maxFramesPerSecond } = this.limits
    this.refuse(Close.flood, `more than ${maxFramesPerSecond} frames a second (MAX_FRAMES_PER_SECOND)`)
    return false
  }

  #tooSlow(): void {
    this.refuse(Close.slow, 'too much was left unread for too long (MAX_BUFFERED_BYTES, MAX_BUFFERED_MS)')
  }

  #deliverLocal(queue: SessionQueue, message: SessionMessage | ErrorMessage): boolean {
    let delivered = false
    if (this.#closed) return delivered
    for (const { target, head } of this.subscriptions.values()) {
      if (target.kind !== 'session' || target.queue !== queue) continue
      this.#localMessages++
      this.send(head.encode(String(this.#localMessages), Buffer.from(JSON.stringify(message))))
      delivered = true
    }
    return delivered
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return
    this.#closed = true
    const { id, principal } = this
    this.#context.metrics.closed(code)
    this.#context.log.info({ sessionId: id, memberId: principal.memberId, code, reason }, 'session closed')
    for (const subscription of this.subscriptions.values()) {
      subscription.end()
      if (subscription.target.kind === 'channel') this.hub.unsubscribe(subscription.target.channel, subscription)
    }
    this.subscriptions.clear()
    this.transactions = undefined
    this.#listener.ended(this)
  }
}

/** Somebody's text as a header of any version: printable ASCII on one line, and short. */
function printable(text: string): string {
  return text.slice(0, maxReasonLength).replaceAll(/[^\u0020-\u007e]/g, '?')
}
