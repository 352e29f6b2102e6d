import { type Destination, formatPosition, type Position, type Publication } from '@tidings/protocol'
import type { History } from '../redis/broker.ts'
import { Follower, type FollowerSink } from './cursor.ts'
import { type MessageHead, messageIdOf } from './message-head.ts'
import type { Session } from '../session/session.ts'

export const ackModes = ['auto', 'client', 'client-individual'] as const
export type AckMode = (typeof ackModes)[number]

/** Above this many bytes waiting in this process, replayed history waits for the reader. */
const replayBufferBytes = 262_144

/** A session's interest in one destination, under the client's `id`. */
export class Subscription implements FollowerSink {
  readonly id: string
  readonly destination: string
  readonly target: Destination
  readonly ackMode: AckMode
  readonly head: MessageHead
  /** Subscriptions of one channel with the same likeness get the same bytes. */
  readonly likeness: string
  ended = false
  readonly #session: Session
  #follower: Follower | undefined = undefined
  /** Message ids that wait for ACK or NACK, in the order they were sent. */
  #unacked: Set<string> | undefined = undefined
  #onAcknowledged: (() => void) | undefined = undefined

  constructor(
    session: Session,
    {
      id,
      destination,
      target,
      ackMode,
      head,
      likeness,
    }: Pick<Subscription, 'id' | 'destination' | 'target' | 'ackMode' | 'head' | 'likeness'>,
  ) {
    this.#session = session
    this.id = id
    this.destination = destination
    this.target = target
    this.ackMode = ackMode
    this.head = head
    this.likeness = likeness
  }

  get unackedMessages(): number {
    return this.#unacked?.size ?? 0
  }

  /**
   * From now on this subscription goes its own way after `position`, apart from the channel's: because it resumes there, or because
   * it waits for acknowledgements.
   */
  follow(channel: string, position: Position, history: History): Follower {
    this.#follower = new Follower(channel, position, history, this)
    return this.#follower
  }

  /** Takes a publication of the channel; `message` is its encoding for all subscriptions of our likeness. */
  receive(publication: Publication, message: Buffer): void {
    const follower = this.#follower
    if (!follower) return this.#session.send(message)
    follower.receive(publication)
    // Both stand at the same publication: from here on the channel's way is ours.
    if (this.ackMode === 'auto' && !follower.catchingUp && follower.position === publication.position) this.#follower = undefined
  }

  /** Sends how things stand at `position`; a client that has it resumes there. */
  snapshot(position: Position, body: string): void {
    void this.#session.sendSnapshot(this.head.encode(formatPosition(position), Buffer.from(body)))
  }

  deliver(publication: Publication): void | Promise<void> {
    const messageId = messageIdOf(publication, this.#follower?.position)
    this.#session.send(this.head.encode(messageId, publication.body))
    const settled = this.ackMode === 'auto' ? undefined : this.#awaitAck(messageId)
    if (this.#session.bufferedBytes <= replayBufferBytes) return settled
    return this.#session.drained().then(() => settled)
  }

  /** Settles one message, and with `ack:client` all before it. Unknown ones were settled before or were never ours: nothing happens. */
  settle(messageId: string): void {
    if (!this.#unacked?.has(messageId)) return
    if (this.ackMode === 'client-individual') this.#unacked.delete(messageId)
    else
      for (const earlier of this.#unacked) {
        this.#unacked.delete(earlier)
        if (earlier === messageId) break
      }
    if (this.#unacked.size <= this.#session.limits.maxUnackedMessages / 2) this.#onAcknowledged?.()
  }

  awaits(messageId: string): boolean {
    return this.#unacked?.has(messageId) ?? false
  }

  /** Tells the client that publications of this destination were lost. */
  gap(): void {
    this.#session.tell({ type: 'gap', destination: this.destination })
  }

  end(): void {
    this.ended = true
    this.#onAcknowledged?.()
  }

  /** Past the window of unacknowledged messages the next one waits until half of it is free. */
  #awaitAck(messageId: string): void | Promise<void> {
    this.#unacked ??= new Set()
    this.#unacked.add(messageId)
    if (this.#unacked.size < this.#session.limits.maxUnackedMessages) return undefined
    return new Promise((resolve) => {
      this.#onAcknowledged = () => {
        this.#onAcknowledged = undefined
        resolve()
      }
    })
  }
}
