import { channel as diagnosticsChannel } from 'node:diagnostics_channel'
import type { Position, Publication } from '@tidings/protocol'
import type { Metrics } from '../ops/metrics.ts'
import type { Broker } from '../redis/broker.ts'
import { Cursor, type CursorSink, nowhere } from './cursor.ts'
import { messageIdOf } from './message-head.ts'
import type { Subscription } from './subscription.ts'

/** For a preload that traces: each traced publication that was handed to sessions (infra/observability/opentelemetry). */
const traced = diagnosticsChannel('tidings:delivery')

/** One channel with its subscriptions in this process. Each publication is encoded once for all subscriptions that get the same bytes. */
export class Channel implements CursorSink {
  readonly ended = false
  readonly cursor: Cursor
  /** Resolves when the broker listens and the position of the channel is known; rejects with `ChannelRefusedError`. */
  readonly ready: Promise<void>
  /** Number of subscriptions that wait for `ready`. */
  joining = 0
  readonly #name: string
  readonly #metrics: Metrics
  readonly #groups = new Map<string, Set<Subscription>>()

  /** `onRefused`: the broker refuses a channel that it has listened to. */
  constructor(name: string, broker: Broker, metrics: Metrics, onRefused: (channel: Channel) => void) {
    this.#name = name
    this.#metrics = metrics
    this.cursor = new Cursor(name, nowhere, broker.history, this)
    this.ready = this.cursor.listen(broker, () => onRefused(this))
  }

  get empty(): boolean {
    return this.#groups.size === 0 && this.joining === 0
  }

  /** Position of the channel: a subscription that is added now gets the publications after it. */
  get position(): Position {
    return this.cursor.position
  }

  add(subscription: Subscription): void {
    const { encodingKey } = subscription.head
    const group = this.#groups.get(encodingKey)
    if (group) group.add(subscription)
    else this.#groups.set(encodingKey, new Set([subscription]))
  }

  remove(subscription: Subscription): void {
    const { encodingKey } = subscription.head
    const group = this.#groups.get(encodingKey)
    if (group?.delete(subscription) && group.size === 0) this.#groups.delete(encodingKey)
  }

  /** Ends all subscriptions. */
  refuse(): void {
    // Each takes itself out of its group.
    for (const group of this.#groups.values()) for (const subscription of group) subscription.refuse()
  }

  deliver(publication: Publication): void {
    const messageId = messageIdOf(publication, this.cursor.position)
    let deliveries = 0
    for (const group of this.#groups.values()) {
      let message: Buffer | undefined
      for (const subscription of group) {
        message ??= subscription.head.encode(messageId, publication.body, publication.traceparent)
        subscription.receive(publication, message)
      }
      deliveries += group.size
    }
    this.#metrics.delivered(deliveries)
    const { traceparent } = publication
    if (traceparent !== undefined && traced.hasSubscribers) {
      traced.publish({ traceparent, channel: this.#name, position: messageId, deliveries })
    }
  }

  repaired(): void {
    this.#metrics.repaired()
  }

  gap(): void {
    this.#metrics.gap()
    for (const group of this.#groups.values()) for (const subscription of group) subscription.gap()
  }
}
