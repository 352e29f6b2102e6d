import type { Position, Publication } from '@tidings/protocol'
import type { Broker } from '../redis/broker.ts'
import { Feed } from './feed.ts'
import type { FollowerSink } from './cursor.ts'
import { messageIdOf } from './message-head.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Subscription } from './subscription.ts'

/** One channel with its subscriptions in this process: what the feed brings is encoded once for all that are alike. */
export class Channel implements FollowerSink {
  readonly ended = false
  readonly feed: Feed
  /** Subscriptions that wait for the feed to be ready. */
  expected = 0
  readonly #metrics: Metrics
  readonly #groups = new Map<string, Set<Subscription>>()

  constructor(name: string, broker: Broker, metrics: Metrics) {
    this.#metrics = metrics
    this.feed = new Feed(name, broker, this)
  }

  get empty(): boolean {
    return this.#groups.size === 0 && this.expected === 0
  }

  /** Where the channel stands: what comes after it is delivered to a subscription added now. */
  get position(): Position {
    return this.feed.position
  }

  add(subscription: Subscription): void {
    const group = this.#groups.get(subscription.likeness)
    if (group) group.add(subscription)
    else this.#groups.set(subscription.likeness, new Set([subscription]))
  }

  remove(subscription: Subscription): void {
    const group = this.#groups.get(subscription.likeness)
    if (group?.delete(subscription) && group.size === 0) this.#groups.delete(subscription.likeness)
  }

  deliver(publication: Publication): void {
    const messageId = messageIdOf(publication, this.feed.position)
    let deliveries = 0
    for (const group of this.#groups.values()) {
      let message: Buffer | undefined
      for (const subscription of group) {
        message ??= subscription.head.encode(messageId, publication.body)
        subscription.receive(publication, message)
      }
      deliveries += group.size
    }
    this.#metrics.delivered(deliveries)
  }

  repaired(): void {
    this.#metrics.repaired()
  }

  gap(): void {
    this.#metrics.gap()
    for (const group of this.#groups.values()) for (const subscription of group) subscription.gap()
  }
}
