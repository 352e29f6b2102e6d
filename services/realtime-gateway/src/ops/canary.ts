import { randomUUID } from 'node:crypto'
import type { Publication } from '@tidings/protocol'
import type { CursorSink } from '../channel/cursor.ts'
import type { Hub } from '../channel/hub.ts'
import type { Broker } from '../redis/broker.ts'
import type { Metrics } from './metrics.ts'

const everyMs = 1_000
/** A canary that takes longer than this to come back does not count. */
const lateMs = 2_000

/**
 * Publishes a message every second on a channel of this process and waits for it, to prove that publications arrive. It also keeps the
 * connections to Redis in use.
 */
export class Canary implements CursorSink {
  readonly ended = false
  readonly #broker: Broker
  readonly #metrics: Metrics
  readonly #channel = `gateway:canary:${randomUUID()}`
  #timer: NodeJS.Timeout | undefined
  #sending = false
  #receivedAt = Number.NEGATIVE_INFINITY

  constructor(broker: Broker, metrics: Metrics) {
    this.#broker = broker
    this.#metrics = metrics
  }

  /** True when the last canary came back in time. */
  get alive(): boolean {
    return performance.now() - this.#receivedAt < everyMs + lateMs
  }

  /** Starts publishing. Resolves when the first canary is published. */
  async open(hub: Hub): Promise<void> {
    this.#timer = setInterval(() => void this.#send(), everyMs)
    await hub.follow(this.#channel, this)
    await this.#send()
  }

  deliver({ body }: Publication): void {
    const sentAt = Number(Buffer.from(body).toString())
    const now = performance.now()
    if (now - sentAt >= lateMs) return
    this.#receivedAt = now
    this.#metrics.lag((now - sentAt) / 1_000)
  }

  gap(): void {} // the channel has no history

  close(): void {
    clearInterval(this.#timer)
  }

  async #send(): Promise<void> {
    if (this.#sending) return
    this.#sending = true
    try {
      await this.#broker.publish(this.#channel, String(performance.now()))
    } catch {
      // `alive` becomes false when no canary is received.
    } finally {
      this.#sending = false
    }
  }
}
