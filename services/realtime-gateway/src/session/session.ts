import { randomUUID } from 'node:crypto'
import { type Log, loggable, type Principal } from '@tidings/chassis'
import {
  Close,
  type CloseCode,
  type ClientCommand,
  type Frame,
  FrameDecoder,
  FrameError,
  formatFrame,
  type HeartBeat,
  heartBeat as lineFeed,
  type ServerCommand,
  type StompVersion,
} from '@tidings/protocol'
import type { Credentials } from '../backend/credentials.ts'
import type { Hub } from '../channel/hub.ts'
import { ReplayLane } from '../channel/replay-lane.ts'
import type { Subscription, SubscriptionListener } from '../channel/subscription.ts'
import type { Limits } from '../config.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Peer } from '../socket/handshake.ts'
import { textMessage } from '../socket/text-message.ts'
import type { Transport, TransportListener } from '../socket/transport.ts'
import { SessionClock, tooSlow } from './clock.ts'
import { errorMessage, printable } from './error-message.ts'
import { FrameBudget, flood, frameCost, messageCost } from './frame-budget.ts'
import { FrameQueue, type FrameSink } from './frame-queue.ts'
import { isRefusal, notPermitted, offenderOf, opensSession, type Outcome, type Refusal, refuse } from './outcome.ts'
import { SessionQueues } from './session-queue.ts'
import type { Transaction } from './transaction.ts'

/**
 * Handles one frame of a session, and returns a refusal as a value. An error that it throws ends the session as a failure of the
 * gateway. The next frame waits until a returned promise is settled.
 */
export type FrameHandler = (session: Session, frame: Frame<ClientCommand>) => Outcome | Promise<Outcome>

/** What all sessions of a process share. */
export interface SessionDeps {
  readonly handle: FrameHandler
  readonly hub: Hub
  readonly limits: Limits
  readonly metrics: Metrics
  readonly log: Log
}

const beat = textMessage(lineFeed)

/** One STOMP session over one transport. Its frames are handled strictly in order. */
export class Session implements TransportListener, FrameSink, SubscriptionListener {
  readonly id = randomUUID()
  /** Id of the request that opened the connection. */
  readonly requestId: string
  readonly connectedAt = Date.now()
  readonly principal: Principal
  readonly credentials: Credentials
  readonly userAgent: string | undefined
  /** Patterns of the topics that the token permits. */
  readonly topics: readonly string[]
  readonly transport: Transport
  readonly clock: SessionClock
  readonly queues: SessionQueues
  readonly lane: ReplayLane
  /** By `key`: the client's id, or in STOMP 1.0 without id a key of the destination. */
  readonly subscriptions = new Map<string, Subscription>()
  /** Open transactions by the client's id. */
  transactions: Map<string, Transaction> | undefined = undefined
  /** Undefined until CONNECT is accepted. */
  version: StompVersion | undefined = undefined
  readonly #deps: SessionDeps
  readonly #onEnded: (session: Session) => void
  readonly #decoder: FrameDecoder
  readonly #budget: FrameBudget
  readonly #frames: FrameQueue
  #closed = false

  constructor(transport: Transport, peer: Peer, deps: SessionDeps, onEnded: (session: Session) => void) {
    this.requestId = peer.requestId
    this.principal = peer.principal
    this.credentials = peer.credentials
    this.userAgent = peer.userAgent
    this.topics = peer.topics
    this.transport = transport
    this.clock = new SessionClock(deps.limits, peer.principal.expiresAt)
    this.queues = new SessionQueues(this.subscriptions, transport)
    this.lane = new ReplayLane(transport, deps.limits.maxReplayBytes)
    this.#deps = deps
    this.#onEnded = onEnded
    this.#decoder = new FrameDecoder(deps.limits)
    this.#frames = new FrameQueue(this, transport)
    this.#budget = new FrameBudget(deps.limits.maxFramesPerSecond, this.clock.activeAt)
  }

  get closed(): boolean {
    return this.#closed
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#closed) return
    this.clock.active()
    if (!this.#spend(messageCost)) return
    try {
      this.#decoder.push(bytes, (frame) => {
        if (!this.#closed && this.#spend(frameCost)) this.#frames.push(frame)
      })
    } catch (error) {
      if (!(error instanceof FrameError)) return this.#fail(error)
      const offender = { command: error.command ?? 'frame', receipt: error.receipt }
      this.refuse({ code: Close.badFrame, reason: error.message, offender })
    }
  }

  onActivity(): void {
    this.clock.active()
  }

  onOverflow(): void {
    this.refuse(tooSlow)
  }

  onClosed(code: number): void {
    this.#end(code, 'closed by the peer')
  }

  onGap(destination: string): void {
    this.queues.notify({ type: 'gap', destination })
  }

  onRefused(destination: string): void {
    this.refuse(notPermitted(destination))
  }

  /** Takes a cost from the budget. When the budget is spent, the session ends. */
  #spend(cost: number): boolean {
    if (this.#budget.spend(cost, this.clock.activeAt)) return true
    this.refuse(flood(this.#deps.limits.maxFramesPerSecond))
    return false
  }

  handle(frame: Frame<ClientCommand>): void | Promise<void> {
    try {
      const outcome = this.#deps.handle(this, frame)
      return outcome instanceof Promise ? this.#settle(frame, outcome) : this.#finish(frame, outcome)
    } catch (error) {
      this.#fail(error, frame)
    }
  }

  async #settle(frame: Frame<ClientCommand>, outcome: Promise<Outcome>): Promise<void> {
    try {
      this.#finish(frame, await outcome)
    } catch (error) {
      this.#fail(error, frame)
    }
  }

  #finish(frame: Frame<ClientCommand>, outcome: Outcome): void {
    if (this.#closed) return
    if (isRefusal(outcome)) return this.refuse({ offender: offenderOf(frame), ...outcome })
    const receipt = opensSession(frame.command) ? undefined : frame.headers.get('receipt')
    if (receipt !== undefined) this.sendFrame('RECEIPT', [['receipt-id', receipt], ...(outcome?.receipt ?? [])])
    outcome?.afterwards?.()
  }

  /** An unexpected error ends this session, and no other. */
  #fail(error: unknown, frame?: Frame): void {
    const { id: sessionId, requestId } = this
    this.#deps.log.error({ err: loggable(error), sessionId, requestId, command: frame?.command }, 'frame handler failed')
    this.refuse({ ...refuse(Close.restarting, 'the gateway failed: try again'), ...(frame && { offender: offenderOf(frame) }) })
  }

  /** Accepts CONNECT: the rules of the version hold from the next frame on. */
  connect(version: StompVersion, heartBeat: HeartBeat): void {
    this.version = version
    this.#decoder.version = version
    this.clock.connected(heartBeat)
  }

  sendFrame(command: ServerCommand, headers: Iterable<readonly [string, string]>): void {
    this.transport.send(textMessage(formatFrame({ command, headers }, this.version)))
  }

  /** Ends a subscription: its id may be used again. */
  unsubscribe(subscription: Subscription): void {
    this.subscriptions.delete(subscription.key)
    subscription.end()
    const { target } = subscription
    if (target.kind === 'channel') this.#deps.hub.unsubscribe(target.channel, subscription)
  }

  /** Does what is due at `now`, in ms of `performance.now()`. Called for each session by the one timer of the process. */
  sweep(now: number): void {
    const due = this.clock.check(now, this.transport, !this.#frames.paused)
    if (due.refusal) return this.refuse(due.refusal)
    if (due.reconnectAfterMs !== undefined) return this.restart(due.reconnectAfterMs)
    if (due.beat) this.transport.send(beat)
    if (due.ping) this.transport.ping()
    if (due.expiring && this.queues.notify({ type: 'expiring', expiresAt: this.principal.expiresAt })) this.clock.expiryNotified()
  }

  /** Sends ERROR, then closes (STOMP 1.2, ERROR). */
  refuse(refusal: Refusal): void {
    if (!this.#closed) this.close(refusal.code, printable(refusal.reason), errorMessage(refusal, this.version))
  }

  /** Notifies the client when to reconnect, then closes: for a drain or a rotation. */
  restart(reconnectAfterMs: number): void {
    this.queues.notify({ type: 'draining', reconnectAfterMs })
    this.close(Close.restarting, `reconnect after ${reconnectAfterMs} ms`)
  }

  /** Sends `last`, if any, and the close frame, and releases what the session holds. */
  close(code: CloseCode, reason: string, last?: Buffer): void {
    if (this.#closed) return
    this.transport.close(code, reason, last)
    this.#end(code, reason)
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#deps.metrics.closed(code)
    const { id: sessionId, requestId, principal } = this
    this.#deps.log.info({ sessionId, requestId, memberId: principal.memberId, code, reason }, 'session closed')
    for (const subscription of this.subscriptions.values()) this.unsubscribe(subscription)
    this.transactions = undefined
    this.#onEnded(this)
  }
}
