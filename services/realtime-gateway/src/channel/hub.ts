import type { Position } from '@tidings/protocol'
import type { Metrics } from '../ops/metrics.ts'
import type { Broker, History } from '../redis/broker.ts'
import { Channel } from './channel.ts'
import { Cursor, type CursorSink, nowhere } from './cursor.ts'
import type { Subscription } from './subscription.ts'

/** How long a channel without subscriptions is still listened to: a page that reloads subscribes to it again. */
const lingerMs = 5_000

/** The channels of this process: the broker listens to a channel from its first subscription to a while after its last. */
export class Hub {
  readonly #broker: Broker
  readonly #metrics: Metrics
  readonly #channels = new Map<string, Channel>()
  /** Channels without subscriptions, and since when, in ms of `performance.now()`. */
  readonly #idle = new Map<string, number>()

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
  follow(name: string, sink: CursorSink): Promise<void> {
    return new Cursor(name, nowhere, this.#broker.history, sink).listen(this.#broker)
  }

  /**
   * Adds a subscription to its channel, and resolves to the position of the channel: the subscription gets every publication after it.
   * Waits while the broker is away. Rejects with `ChannelRefusedError`; a channel that is refused later refuses its subscriptions.
   */
  async subscribe(name: string, subscription: Subscription): Promise<Position> {
    let channel = this.#channels.get(name)
    if (!channel) {
      channel = new Channel(name, this.#broker, this.#metrics, (refused) => this.#refuse(name, refused))
      this.#channels.set(name, channel)
    }
    this.#idle.delete(name)
    // Count it before the wait, so that the channel does not become idle meanwhile.
    channel.joining++
    try {
      await channel.ready
    } catch (error) {
      this.#drop(name, channel)
      throw error
    } finally {
      channel.joining--
    }
    channel.add(subscription)
    return channel.position
  }

  /** True while publications of the channel may have been missed, and its position may be lost with its history. */
  catchingUp(name: string): boolean {
    return this.#channels.get(name)?.cursor.catchingUp ?? false
  }

  unsubscribe(name: string, subscription: Subscription): void {
    const channel = this.#channels.get(name)
    channel?.remove(subscription)
    if (channel?.empty) this.#idle.set(name, performance.now())
  }

  #refuse(name: string, channel: Channel): void {
    this.#drop(name, channel)
    channel.refuse()
  }

  /** Forgets a channel that the broker refuses: the next subscription tries again. */
  #drop(name: string, channel: Channel): void {
    if (this.#channels.get(name) !== channel) return
    this.#channels.delete(name)
    this.#idle.delete(name)
  }

  /** Stops listening to channels that have had no subscription for `lingerMs`. Called by the one timer of the process. */
  sweep(now: number): void {
    for (const [name, since] of this.#idle) {
      if (now - since < lingerMs) break // they are in the order in which they became idle
      this.#idle.delete(name)
      this.#channels.delete(name)
      this.#broker.unlisten(name)
    }
  }
}
