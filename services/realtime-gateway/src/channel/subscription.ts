import { type Destination, formatPosition, type Position, type Publication } from '@tidings/protocol'
import type { History } from '../redis/broker.ts'
import type { Outlet } from '../socket/transport.ts'
import { Cursor, type CursorSink } from './cursor.ts'
import { type MessageHead, messageIdOf } from './message-head.ts'
import type { ReplayLane } from './replay-lane.ts'

export const ackModes = ['auto', 'client', 'client-individual'] as const
export type AckMode = (typeof ackModes)[number]

/** Delivery that stopped at MAX_UNACKED_MESSAGES continues when this share of them, or fewer, is unsettled. */
const unackedShareToContinue = 0.5

/** Returns the key of a STOMP 1.0 subscription without id. No id equals it: an id of STOMP 1.0 cannot contain a line feed. */
export function keyWithoutId(destination: string): string {
  return `\n${destination}`
}

/** Is notified of what a subscription cannot deliver. */
export interface SubscriptionListener {
  /** Publications of the destination were lost. */
  onGap(destination: string): void
  /** Redis no longer permits the channel of the destination. */
  onRefused(destination: string): void
}

export interface SubscriptionOptions {
  /** The client's id, unique in the session; undefined in STOMP 1.0 without one. */
  readonly id: string | undefined
  readonly destination: string
  readonly target: Destination
  readonly ackMode: AckMode
  readonly head: MessageHead
  readonly outlet: Outlet
  readonly lane: ReplayLane
  readonly listener: SubscriptionListener
  readonly maxUnackedMessages: number
}

/** The subscription of a session to one destination. Delivers each publication once and in order, and stops when `ended`. */
export class Subscription implements CursorSink {
  readonly id: string | undefined
  readonly destination: string
  readonly target: Destination
  readonly ackMode: AckMode
  readonly head: MessageHead
  ended = false
  readonly #outlet: Outlet
  readonly #lane: ReplayLane
  readonly #listener: SubscriptionListener
  readonly #maxUnackedMessages: number
  /** Set while this subscription is at another position than its channel, or waits for acknowledgements. */
  #cursor: Cursor | undefined = undefined
  /** Ids of messages that wait for ACK or NACK, in the order in which they were sent. */
  #unacked: Set<string> | undefined = undefined
  #onAcknowledged: (() => void) | undefined = undefined

  constructor({ id, destination, target, ackMode, head, outlet, lane, listener, maxUnackedMessages }: SubscriptionOptions) {
    this.id = id
    this.destination = destination
    this.target = target
    this.ackMode = ackMode
    this.head = head
    this.#outlet = outlet
    this.#lane = lane
    this.#listener = listener
    this.#maxUnackedMessages = maxUnackedMessages
  }

  /** Name of the subscription in its session. */
  get key(): string {
    return this.id ?? keyWithoutId(this.destination)
  }

  get unackedMessages(): number {
    return this.#unacked?.size ?? 0
  }

  /**
   * Follows the channel from `position` with a cursor of its own, and returns it. Needed while the subscription resumes, and as long as
   * it waits for acknowledgements.
   */
  follow(channel: string, position: Position, history: History): Cursor {
    this.#cursor = new Cursor(channel, position, history, this, this.#lane)
    return this.#cursor
  }

  /** Takes a publication of the channel. `message` is its encoding, shared by all subscriptions with this `encodingKey`. */
  receive(publication: Publication, message: Buffer): void {
    const cursor = this.#cursor
    if (!cursor) return this.#outlet.send(message)
    cursor.receive(publication)
    // The cursor has caught up with the channel: from here on the shared encoding is sent.
    if (this.ackMode === 'auto' && !cursor.catchingUp && cursor.position === publication.position) this.#cursor = undefined
  }

  /** Sends the state at `position` as one message, after which a client can resume. */
  snapshot(position: Position, body: Uint8Array): void {
    void this.#outlet.sendSnapshot(this.head.encode(formatPosition(position), body))
  }

  deliver(publication: Publication): void | Promise<void> {
    const messageId = messageIdOf(publication, this.#cursor?.position)
    this.#outlet.send(this.head.encode(messageId, publication.body, publication.traceparent))
    const settled = this.ackMode === 'auto' ? undefined : this.#awaitAck(messageId)
    return this.#lane.behind ? this.#lane.drained().then(() => settled) : settled
  }

  /** Settles one message, and in ack mode `client` all before it. A message that is not awaited is ignored. */
  settle(messageId: string): void {
    if (!this.#unacked?.has(messageId)) return
    if (this.ackMode === 'client-individual') this.#unacked.delete(messageId)
    else
      for (const earlier of this.#unacked) {
        this.#unacked.delete(earlier)
        if (earlier === messageId) break
      }
    if (this.#unacked.size <= this.#maxUnackedMessages * unackedShareToContinue) this.#onAcknowledged?.()
  }

  /** True when the message waits for ACK or NACK. */
  awaits(messageId: string): boolean {
    return this.#unacked?.has(messageId) ?? false
  }

  gap(): void {
    this.#listener.onGap(this.destination)
  }

  refuse(): void {
    this.#listener.onRefused(this.destination)
  }

  end(): void {
    this.ended = true
    this.#onAcknowledged?.()
  }

  /** Once MAX_UNACKED_MESSAGES are unsettled, returns a promise that resolves when enough of them are settled. */
  #awaitAck(messageId: string): void | Promise<void> {
    this.#unacked ??= new Set()
    this.#unacked.add(messageId)
    if (this.#unacked.size < this.#maxUnackedMessages) return undefined
    return new Promise((resolve) => {
      this.#onAcknowledged = () => {
        this.#onAcknowledged = undefined
        resolve()
      }
    })
  }
}
