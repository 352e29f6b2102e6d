import { randomUUID } from 'node:crypto'
import { type Log, RepeatedFailure } from '@tidings/chassis'
import type { Publication } from '@tidings/protocol'
import type { Broker, Receiver } from '../redis/broker.ts'
import type { Metrics } from './metrics.ts'

const everyMs = 1_000
/** A canary that takes longer than this to come back does not count. */
const lateMs = 2_000
/** Reported while no shard is known. */
const unknownShard = 'redis'

/** The canary of one shard. */
interface ShardCanary {
  readonly channel: string
  /** In ms of `performance.now()`. */
  receivedAt: number
  sending: boolean
}

/**
 * Appends a message every second to a channel of each shard and waits for it, to prove that publications are accepted and arrive. It also
 * keeps the connections to Redis in use.
 */
export class Canary {
  readonly #broker: Broker
  readonly #metrics: Metrics
  readonly #failure: RepeatedFailure
  readonly #canaries = new Map<string, ShardCanary>()
  #timer: NodeJS.Timeout | undefined

  constructor(broker: Broker, metrics: Metrics, log: Log) {
    this.#broker = broker
    this.#metrics = metrics
    this.#failure = new RepeatedFailure(log, 'canary not published')
  }

  /** Shards whose last canary did not come back in time. */
  get failing(): readonly string[] {
    const { shards } = this.#broker
    if (shards.length === 0) return [unknownShard]
    return shards.filter((shard) => {
      const { receivedAt = Number.NEGATIVE_INFINITY } = this.#canaries.get(shard) ?? {}
      return performance.now() - receivedAt >= everyMs + lateMs
    })
  }

  open(): void {
    this.#timer = setInterval(() => this.#round(), everyMs)
    this.#round()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #round(): void {
    const { shards } = this.#broker
    for (const [shard, { channel }] of this.#canaries) if (!shards.includes(shard)) this.#drop(shard, channel)
    for (const shard of shards) void this.#send(shard, this.#canaryOf(shard))
  }

  /** Returns the canary of the shard: a new one when the slot of the former has moved to another shard. */
  #canaryOf(shard: string): ShardCanary {
    const former = this.#canaries.get(shard)
    if (former && this.#broker.shardOf(former.channel) === shard) return former
    if (former) this.#broker.unlisten(former.channel)
    const canary = { channel: this.#channelAt(shard), receivedAt: former?.receivedAt ?? Number.NEGATIVE_INFINITY, sending: false }
    this.#canaries.set(shard, canary)
    const receiver: Receiver = { receive: (publication) => this.#receive(shard, canary, publication), repair() {} } // no history
    void this.#broker.listen(canary.channel, receiver).then(() => this.#send(shard, canary))
    return canary
  }

  #channelAt(shard: string): string {
    for (;;) {
      const channel = `gateway:canary:${randomUUID()}`
      if (this.#broker.shardOf(channel) === shard) return channel
    }
  }

  #receive(shard: string, canary: ShardCanary, { body }: Publication): void {
    const sentAt = Number(Buffer.from(body).toString())
    const now = performance.now()
    if (now - sentAt >= lateMs) return
    canary.receivedAt = now
    this.#metrics.lag(shard, (now - sentAt) / 1_000)
  }

  #drop(shard: string, channel: string): void {
    this.#canaries.delete(shard)
    this.#broker.unlisten(channel)
    this.#metrics.forgetShard(shard)
  }

  async #send(shard: string, canary: ShardCanary): Promise<void> {
    if (canary.sending || this.#canaries.get(shard) !== canary) return
    canary.sending = true
    try {
      await this.#broker.appendCanary(canary.channel, String(performance.now()))
      this.#failure.succeeded()
    } catch (error) {
      this.#failure.failed(error)
    } finally {
      canary.sending = false
    }
  }
}
