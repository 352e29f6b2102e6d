import { type Log, Recurring } from '@tidings/chassis'
import type { PublishFailure } from './publish-failure.ts'
import type { Publisher } from './redis-publisher.ts'

const probeIntervalMs = 250

/**
 * Remembers which shards of Redis are away from this instance, so that nothing waits for them. Each is probed until it accepts writes
 * again. A server that is no Cluster is one shard.
 */
export class Circuits {
  readonly #publisher: Publisher
  readonly #log: Log
  readonly #onClose: () => void
  /** The shards that are away, each with one of its channels. */
  readonly #open = new Map<string, string>()
  readonly #probes: Recurring

  constructor({ publisher, log, onClose }: { publisher: Publisher; log: Log; onClose: () => void }) {
    this.#publisher = publisher
    this.#log = log
    this.#onClose = onClose
    this.#probes = new Recurring({
      intervalMs: probeIntervalMs,
      run: () => this.#probe(),
      log,
      failure: 'redis cannot be probed',
    })
  }

  get anyOpen(): boolean {
    return this.#open.size > 0
  }

  isOpen(channel: string): boolean {
    return this.#open.size > 0 && this.#open.has(this.#publisher.shardOf(channel))
  }

  open(channel: string, { reason }: PublishFailure): void {
    const shard = this.#publisher.shardOf(channel)
    if (this.#open.has(shard)) return
    this.#open.set(shard, channel)
    this.#log.warn({ shard, reason }, 'redis is away: publications are deferred to the sweep')
  }

  close(): Promise<void> {
    return this.#probes.close()
  }

  async #probe(): Promise<void> {
    await Promise.all(
      [...this.#open].map(async ([shard, channel]) => {
        if (!(await this.#publisher.accepts(channel))) return
        this.#open.delete(shard)
        this.#log.info({ shard }, 'redis is back')
        this.#onClose()
      }),
    )
  }
}
