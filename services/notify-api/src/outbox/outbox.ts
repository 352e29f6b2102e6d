import { type Log, loggable } from '@tidings/chassis'
import { BatchedDelete } from './batched-delete.ts'
import type { Publisher } from './redis-publisher.ts'
import type { OutboxBacklog, OutboxStore } from './store.ts'

/** One message, committed and not yet known to be published. */
export interface OutboxRow {
  readonly outboxId: number
  readonly channel: string
  readonly body: string
}

/** What one sweep has seen and done. */
export interface Sweep {
  /** Before it began. */
  readonly backlog: OutboxBacklog
  readonly published: number
  /** See {@link Outbox.open}. */
  readonly open: boolean
}

export interface OutboxOptions {
  readonly store: OutboxStore
  readonly publisher: Publisher
  readonly log: Log
  readonly onSweep: (sweep: Sweep) => void
}

/** A row older than this was left behind; a younger one is still in the hands of the instance that committed it. */
const graceMs = 5_000
const sweepIntervalMs = 1_000
const sweepRows = 200

/**
 * Publishes what was committed: at once by the instance that committed it, and by a sweep what a crash or an outage of Redis left.
 * A row is deleted only after Redis has answered for it: each is published at least once.
 *
 * When Redis fails, the circuit opens: rows are left to the sweep without an attempt. The sweep closes it when the backlog is
 * published, so that nothing overtakes what was left.
 */
export class Outbox {
  readonly #store: OutboxStore
  readonly #publisher: Publisher
  readonly #log: Log
  readonly #onSweep: OutboxOptions['onSweep']
  readonly #published: BatchedDelete
  /** Of our rows that were left, those that may be younger than the grace period; with the time they were left. */
  readonly #left = new Map<number, number>()
  /** What Redis has not answered yet. */
  readonly #publishing = new Set<Promise<unknown>>()
  #open = false
  #failing = false
  #closed = false
  #nextSweep: NodeJS.Timeout | undefined
  #sweeping: Promise<void> | undefined

  constructor({ store, publisher, log, onSweep }: OutboxOptions) {
    this.#store = store
    this.#publisher = publisher
    this.#log = log
    this.#onSweep = onSweep
    this.#published = new BatchedDelete((ids) => store.delete(ids), log)
    this.#sweepLater()
  }

  /** True while rows are left to the sweep because Redis does not answer. */
  get open(): boolean {
    return this.#open
  }

  /** Resolves when each row is published or left to the sweep. Never rejects. */
  async publish(rows: readonly OutboxRow[]): Promise<void> {
    if (this.#open) {
      for (const row of rows) this.#leave(row)
      return
    }
    const publishing = Promise.all(rows.map((row) => this.#publishNow(row)))
    this.#publishing.add(publishing)
    await publishing
    this.#publishing.delete(publishing)
  }

  /** Whether a gateway listens on each channel; null when Redis does not answer. Never rejects. */
  async listening(channels: readonly string[]): Promise<(boolean | null)[]> {
    const unknown = channels.map(() => null)
    if (this.#open) return unknown
    try {
      return await this.#publisher.listening(channels)
    } catch (error) {
      // Without this the next one would wait as long: the publication that follows times out a little later than the question.
      this.#openCircuit(error)
      return unknown
    }
  }

  /** What is not published by now stays for the next sweep, whoever's it is. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#nextSweep)
    await this.#sweeping
    await Promise.all(this.#publishing)
    await this.#published.close()
  }

  async #publishNow(row: OutboxRow): Promise<void> {
    try {
      await this.#publisher.publish(row.channel, row.body)
      this.#published.add(row.outboxId)
    } catch (error) {
      this.#openCircuit(error)
      this.#leave(row)
    }
  }

  #leave({ outboxId }: OutboxRow): void {
    this.#left.set(outboxId, performance.now())
  }

  #openCircuit(error: unknown): void {
    if (!this.#open) this.#log.warn({ err: loggable(error) }, 'redis does not answer: publications are left to the sweep')
    this.#open = true
  }

  #sweepLater(): void {
    if (this.#closed) return
    // With jitter: instances that started together do not sweep together for ever.
    const delayMs = sweepIntervalMs * (0.75 + Math.random() / 2)
    this.#nextSweep = setTimeout(() => {
      this.#sweeping = this.#sweep().finally(() => this.#sweepLater())
    }, delayMs)
  }

  async #sweep(): Promise<void> {
    // Those twice as old as the grace period are old enough for everybody's sweep by now.
    const old = performance.now() - 2 * graceMs
    for (const [outboxId, since] of this.#left) if (since < old) this.#left.delete(outboxId)
    try {
      const backlog = await this.#store.backlog()
      const published = await this.#publishBacklog(backlog)
      this.#onSweep({ backlog, published, open: this.#open })
      this.#failing = false
    } catch (error) {
      if (!this.#failing) this.#log.warn({ err: loggable(error) }, 'the outbox cannot be swept')
      this.#failing = true
    }
  }

  async #publishBacklog({ oldestAgeMs }: OutboxBacklog): Promise<number> {
    // An attempt with publications would be repeated each second, and all of them published when Redis wakes up.
    if (this.#open && !(await this.#redisAnswers())) return 0
    let published = 0
    try {
      if (oldestAgeMs > graceMs) published += await this.#publishOld()
      if (this.#open) published += await this.#publishLeft()
    } catch (error) {
      if (!(error instanceof RedisSilent)) throw error
      this.#openCircuit(error.cause)
    }
    return published
  }

  async #redisAnswers(): Promise<boolean> {
    try {
      await this.#publisher.ping()
      return true
    } catch {
      return false
    }
  }

  async #publishOld(): Promise<number> {
    for (let published = 0; ; ) {
      const found = await this.#store.sweep({ graceMs, limit: sweepRows }, (rows) => this.#publishSwept(rows))
      published += found
      if (found < sweepRows || this.#closed) return published
    }
  }

  async #publishLeft(): Promise<number> {
    let published = 0
    while (this.#left.size > 0 && !this.#closed) {
      const outboxIds = [...this.#left.keys()].slice(0, sweepRows)
      published += await this.#store.sweep({ outboxIds, limit: sweepRows }, (rows) => this.#publishSwept(rows))
      for (const outboxId of outboxIds) this.#left.delete(outboxId)
    }
    if (this.#closed) return published
    // Nothing is awaited since the last look at #left: no row can have been left in between.
    this.#open = false
    this.#log.info({ published }, 'redis answers again and the backlog is published')
    return published
  }

  async #publishSwept(rows: readonly OutboxRow[]): Promise<void> {
    const attempts = rows.map(async ({ outboxId, channel, body }) => {
      // Published before, and only its deletion is late.
      if (!this.#published.has(outboxId)) await this.#publisher.publish(channel, body)
    })
    const outcomes = await Promise.allSettled(attempts)
    const failure = outcomes.find((outcome) => outcome.status === 'rejected')
    if (!failure) return
    // All of them stay in the outbox. Remembered, those that were published are only deleted next time.
    for (const [index, { outboxId }] of rows.entries()) if (outcomes[index]?.status === 'fulfilled') this.#published.add(outboxId)
    throw new RedisSilent('redis did not answer for all rows', { cause: failure.reason })
  }
}

class RedisSilent extends Error {
  override readonly name = 'RedisSilent'
}
