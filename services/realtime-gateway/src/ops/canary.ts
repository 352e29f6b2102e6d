import { randomUUID } from 'node:crypto'
import type { Publication } from '@tidings/protocol'
import type { Broker } from '../redis/broker.ts'
import type { FollowerSink } from '../channel/cursor.ts'
import type { Hub } from '../channel/hub.ts'
import type { Metrics } from './metrics.ts'

const everyMs = 1_000
/** A canary that has not come back within this says that Redis does not reach us. */
const lateMs = 2_000

/** Publishes a message to itself every second: is what is published delivered here? It keeps the Redis connections proven alive, too. */
export class Canary implements FollowerSink {
  readonly ended = false
  readonly #broker: Broker
  readonly #metrics: Metrics
  readonly #channel = `gateway:canary:${randomUUID()}`
  #timer: NodeJS.Timeout | undefined
  #sending = false
  #sentAt = 0
  #cameBackAt = Number.NEGATIVE_INFINITY

  constructor(broker: Broker, metrics: Metrics) {
    this.#broker = broker
    this.#metrics = metrics
  }

  /** True when the last canary came back in time. */
  get alive(): boolean {
    return performance.now() - this.#cameBackAt < everyMs + lateMs
  }

  async open(hub: Hub): Promise<void> {
    this.#timer = setInterval(() => void this.#send(), everyMs)
    await hub.follow(this.#channel, this)
    await this.#send()
  }

  deliver({ body }: Publication): void {
    const sentAt = Number(Buffer.from(body).toString())
    const now = performance.now()
    if (now - sentAt >= lateMs) return
    this.#cameBackAt = now
    this.#metrics.lag((now - sentAt) / 1_000)
  }

  gap(): void {} // it has no history

  close(): void {
    clearInterval(this.#timer)
  }

  async #send(): Promise<void> {
    if (this.#sending) return
    this.#sending = true
    this.#sentAt = performance.now()
    try {
      await this.#broker.publish(this.#channel, String(this.#sentAt))
    } catch {
      // Not coming back is what a canary has to say.
    } finally {
      this.#sending = false
    }
  }
}
