import { type Log, loggable, Recurring } from '@tidings/chassis'
import { BatchedDelete } from './batched-delete.ts'
import type { Publisher } from './redis-publisher.ts'
import type { OutboxRow } from './row.ts'
import type { OutboxBacklog, OutboxStore } from './store.ts'

/** Result of one sweep. */
export interface Sweep {
  /** The backlog before the sweep. */
  readonly backlog: OutboxBacklog
  readonly published: number
  /** See {@link Outbox.circuitOpen}. */
  readonly circuitOpen: boolean
}

export interface OutboxOptions {
  readonly store: OutboxStore
  readonly publisher: Publisher
  readonly log: Log
  readonly onSweep: (sweep: Sweep) => void
}

/** Age from which a row is published by any sweep. A younger row is still handled by the instance that committed it. */
const graceMs = 5_000
/** By then a deferred row is older than `graceMs` on the clock of every instance. */
const deferredMs = 2 * graceMs
const sweepIntervalMs = 1_000
const sweepRows = 200

/**
 * Publishes committed rows: immediately, by the instance that committed them, and by a sweep for the rows that a crash or an outage of
 * Redis left unpublished. A row is deleted only after Redis has confirmed its publication, so each is published at least once.
 *
 * When Redis fails, the circuit opens: rows are deferred to the sweep without an attempt. The sweep closes the circuit once the backlog
 * is published, so that no row overtakes a deferred one.
 */
export class Outbox {
  readonly #store: OutboxStore
  readonly #publisher: Publisher
  readonly #log: Log
  readonly #onSweep: OutboxOptions['onSweep']
  readonly #published: BatchedDelete
  /** Deferred rows of this instance that may be younger than `graceMs`, each with the time at which it was deferred. */
  readonly #deferred = new Map<number, number>()
  /** Publications that Redis has not confirmed yet. */
  readonly #publishing = new Set<Promise<unknown>>()
  readonly #sweeps: Recurring
  #circuitOpen = false

  constructor({ store, publisher, log, onSweep }: OutboxOptions) {
    this.#store = store
    this.#publisher = publisher
    this.#log = log
    this.#onSweep = onSweep
    this.#published = new BatchedDelete((ids) => store.delete(ids), log)
    this.#sweeps = new Recurring({
      intervalMs: sweepIntervalMs,
      run: (closing) => this.#sweep(closing),
      log,
      failure: 'the outbox cannot be swept',
    })
  }

  /** True while rows are deferred to the sweep because Redis does not reply. */
  get circuitOpen(): boolean {
    return this.#circuitOpen
  }

  /** Resolves when each row is published or deferred to the sweep. Never rejects. */
  async publish(rows: readonly OutboxRow[]): Promise<void> {
    if (this.#circuitOpen) {
      for (const row of rows) this.#defer(row)
      return
    }
    const publishing = Promise.all(rows.map((row) => this.#publishNow(row)))
    this.#publishing.add(publishing)
    await publishing
    this.#publishing.delete(publishing)
  }

  /** Resolves to whether a gateway listens on each channel; null when Redis does not reply. Never rejects. */
  async listening(channels: readonly string[]): Promise<(boolean | null)[]> {
    const unknown = channels.map(() => null)
    if (this.#circuitOpen) return unknown
    try {
      return await this.#publisher.listening(channels)
    } catch (error) {
      // Open it now: the publication of this request times out a little later than this query, and until then others would wait too.
      this.#openCircuit(error)
      return unknown
    }
  }

  /** Resolves when no publication is in flight. Rows not published by then are left to the next sweep of any instance. */
  async close(): Promise<void> {
    await this.#sweeps.close()
    await Promise.all(this.#publishing)
    await this.#published.close()
  }

  async #publishNow(row: OutboxRow): Promise<void> {
    try {
      await this.#publisher.publish(row.channel, row.body)
      this.#published.add(row.outboxId)
    } catch (error) {
      this.#openCircuit(error)
      this.#defer(row)
    }
  }

  #defer({ outboxId }: OutboxRow): void {
    this.#deferred.set(outboxId, performance.now())
  }

  #openCircuit(error: unknown): void {
    if (!this.#circuitOpen)
      this.#log.warn({ err: loggable(error) }, 'redis does not reply: publications are deferred to the sweep')
    this.#circuitOpen = true
  }

  async #sweep(closing: AbortSignal): Promise<void> {
    const old = performance.now() - deferredMs
    for (const [outboxId, since] of this.#deferred) if (since < old) this.#deferred.delete(outboxId)
    const backlog = await this.#store.backlog()
    const published = await this.#publishBacklog(backlog, closing)
    this.#onSweep({ backlog, published, circuitOpen: this.#circuitOpen })
  }

  async #publishBacklog({ oldestAgeMs }: OutboxBacklog, closing: AbortSignal): Promise<number> {
    // Probe with PING: publications would be sent again each second, and Redis would execute all of them once it resumes.
    if (this.#circuitOpen && !(await this.#redisReplies())) return 0
    let published = 0
    try {
      if (oldestAgeMs > graceMs) published += await this.#publishOld(closing)
      if (this.#circuitOpen) published += await this.#publishDeferred(closing)
    } catch (error) {
      if (!(error instanceof RedisSilent)) throw error
      this.#openCircuit(error.cause)
    }
    return published
  }

  async #redisReplies(): Promise<boolean> {
    try {
      await this.#publisher.ping()
      return true
    } catch {
      return false
    }
  }

  async #publishOld(closing: AbortSignal): Promise<number> {
    for (let published = 0; ; ) {
      const found = await this.#store.sweep({ graceMs, limit: sweepRows }, (rows) => this.#publishSwept(rows))
      published += found
      if (found < sweepRows || closing.aborted) return published
    }
  }

  async #publishDeferred(closing: AbortSignal): Promise<number> {
    let published = 0
    while (this.#deferred.size > 0 && !closing.aborted) {
      const outboxIds = [...this.#deferred.keys()].slice(0, sweepRows)
      published += await this.#store.sweep({ outboxIds, limit: sweepRows }, (rows) => this.#publishSwept(rows))
      for (const outboxId of outboxIds) this.#deferred.delete(outboxId)
    }
    if (closing.aborted) return published
    // No await since the last check of #deferred: no row can have been deferred in between.
    this.#circuitOpen = false
    this.#log.info({ published }, 'redis replies again and the backlog is published')
    return published
  }

  async #publishSwept(rows: readonly OutboxRow[]): Promise<void> {
    const attempts = rows.map(async ({ outboxId, channel, body }) => {
      // A row in #published was published before; only its deletion is pending.
      if (!this.#published.has(outboxId)) await this.#publisher.publish(channel, body)
    })
    const outcomes = await Promise.allSettled(attempts)
    const failure = outcomes.find((outcome) => outcome.status === 'rejected')
    if (!failure) return
    // Every row stays in the outbox. The published ones are added to #published, so that the next sweep only deletes them.
    for (const [index, { outboxId }] of rows.entries()) if (outcomes[index]?.status === 'fulfilled') this.#published.add(outboxId)
    throw new RedisSilent('redis did not reply for all rows', { cause: failure.reason })
  }
}

class RedisSilent extends Error {
  override readonly name = 'RedisSilent'
}
