import { type Destination, formatPosition, type Position, type Publication } from '@tidings/protocol'
import type { History } from '../redis/broker.ts'
import type { Outlet } from '../socket/transport.ts'
import { Cursor, type CursorSink } from './cursor.ts'
import { type MessageHead, messageIdOf } from './message-head.ts'

export const ackModes = ['auto', 'client', 'client-individual'] as const
export type AckMode = (typeof ackModes)[number]

/** With more bytes than this buffered in this process, the history is replayed no faster than the client reads. */
const replayBufferBytes = 262_144
/** Delivery that stopped at MAX_UNACKED_MESSAGES continues when this share of them, or fewer, is unsettled. */
const unackedShareToContinue = 0.5

/** Learns what a subscription cannot deliver. */
export interface SubscriptionListener {
  /** Publications of the destination were lost. */
  onGap(destination: string): void
  /** Redis no longer permits the channel of the destination. */
  onRefused(destination: string): void
}

export interface SubscriptionOptions {
  /** The client's id, unique in the session. */
  readonly id: string
  readonly destination: string
  readonly target: Destination
  readonly ackMode: AckMode
  readonly head: MessageHead
  readonly outlet: Outlet
  readonly listener: SubscriptionListener
  readonly maxUnackedMessages: number
}

/** The subscription of a session to one destination. Delivers each publication once and in order, and stops when `ended`. */
export class Subscription implements CursorSink {
  readonly id: string
  readonly destination: string
  readonly target: Destination
  readonly ackMode: AckMode
  readonly head: MessageHead
  ended = false
  readonly #outlet: Outlet
  readonly #listener: SubscriptionListener
  readonly #maxUnackedMessages: number
  /** Set while this subscription is at another position than its channel, or waits for acknowledgements. */
  #cursor: Cursor | undefined = undefined
  /** Ids of messages that wait for ACK or NACK, in the order in which they were sent. */
  #unacked: Set<string> | undefined = undefined
  #onAcknowledged: (() => void) | undefined = undefined

  constructor({ id, destination, target, ackMode, head, outlet, listener, maxUnackedMessages }: SubscriptionOptions) {
    this.id = id
    this.destination = destination
    this.target = target
    this.ackMode = ackMode
    this.head = head
    this.#outlet = outlet
    this.#listener = listener
    this.#maxUnackedMessages = maxUnackedMessages
  }

  get unackedMessages(): number {
    return this.#unacked?.size ?? 0
  }

  /**
   * Follows the channel from `position` with a cursor of its own, which is returned: because the subscription resumes there, or because
   * it waits for acknowledgements.
   */
  follow(channel: string, position: Position, history: History): Cursor {
    this.#cursor = new Cursor(channel, position, history, this)
    return this.#cursor
  }

  /** Takes a publication of the channel. `message` is its encoding, shared by all subscriptions with this `encodingKey`. */
  receive(publication: Publication, message: Buffer): void {
    const cursor = this.#cursor
    if (!cursor) return this.#outlet.send(message)
    cursor.receive(publication)
    // Both stand at the same publication: from here on the shared encoding will do.
    if (this.ackMode === 'auto' && !cursor.catchingUp && cursor.position === publication.position) this.#cursor = undefined
  }

  /** Sends the state at `position` as one message. A client that has it resumes there. */
  snapshot(position: Position, body: string): void {
    void this.#outlet.sendSnapshot(this.head.encode(formatPosition(position), Buffer.from(body)))
  }

  deliver(publication: Publication): void | Promise<void> {
    const messageId = messageIdOf(publication, this.#cursor?.position)
    this.#outlet.send(this.head.encode(messageId, publication.body))
    const settled = this.ackMode === 'auto' ? undefined : this.#awaitAck(messageId)
    if (this.#outlet.bufferedBytes <= replayBufferBytes) return settled
    return this.#outlet.drained().then(() => settled)
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

  /** At MAX_UNACKED_MESSAGES returns a promise, which resolves when enough are settled. */
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
