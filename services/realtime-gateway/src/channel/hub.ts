import type { Position, Publication } from '@tidings/protocol'
import type { Broker, BrokerListener, History } from '../redis/broker.ts'
import { Channel } from './channel.ts'
import { Feed } from './feed.ts'
import type { FollowerSink } from './cursor.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Subscription } from './subscription.ts'

/** How long a channel without subscribers is still listened to: a reload comes back to it. */
const lingerMs = 5_000

/** Channel → subscriptions of this process: one broker subscription a channel, first in, last out. */
export class Hub implements BrokerListener {
  readonly #broker: Broker
  readonly #metrics: Metrics
  readonly #channels = new Map<string, Channel>()
  /** Channels without subscribers, and since when. */
  readonly #idle = new Map<string, number>()
  /** What the gateway itself follows. */
  readonly #feeds = new Map<string, Feed>()

  constructor(broker: Broker, metrics: Metrics) {
    this.#broker = broker
    this.#metrics = metrics
  }

  get history(): History {
    return this.#broker.history
  }

  get channels(): number {
    return this.#channels.size
  }

  /** Follows a channel for the gateway itself. Resolves when it is listened to. */
  async follow(name: string, sink: FollowerSink): Promise<void> {
    const feed = new Feed(name, this.#broker, sink)
    this.#feeds.set(name, feed)
    await feed.ready
  }

  /**
   * Adds a subscription to its channel and answers where the channel stands: every publication after that position reaches it.
   * Waits while the broker is away.
   */
  async subscribe(name: string, subscription: Subscription): Promise<Position> {
    let channel = this.#channels.get(name)
    if (!channel) {
      channel = new Channel(name, this.#broker, this.#metrics)
      this.#channels.set(name, channel)
    }
    this.#idle.delete(name)
    // Counted before the wait, so that the channel is not left meanwhile.
    channel.expected++
    await channel.feed.ready
    channel.expected--
    channel.add(subscription)
    return channel.position
  }

  unsubscribe(name: string, subscription: Subscription): void {
    const channel = this.#channels.get(name)
    channel?.remove(subscription)
    if (channel?.empty) this.#idle.set(name, performance.now())
  }

  publication(name: string, publication: Publication): void {
    const feed = this.#channels.get(name)?.feed ?? this.#feeds.get(name)
    feed?.receive(publication)
  }

  restored(lostAt: number): void {
    for (const channel of this.#channels.values()) channel.feed.repair(lostAt)
    for (const feed of this.#feeds.values()) feed.repair(lostAt)
  }

  /** Leaves the channels that have had no subscriber for a while. Called by the one timer of the process. */
  sweep(now: number): void {
    for (const [name, since] of this.#idle) {
      if (now - since < lingerMs) break // they stand in the order in which they became idle
      this.#idle.delete(name)
      this.#channels.delete(name)
      this.#broker.unlisten(name)
    }
  }
}
