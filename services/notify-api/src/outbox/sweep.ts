import { type Log, Recurring, RepeatedFailure } from '@tidings/chassis'
import type { Lease } from '../database/lease.ts'
import type { BatchedDelete } from './batched-delete.ts'
import type { Circuits } from './circuits.ts'
import type { Publisher } from './redis-publisher.ts'
import type { OutboxRow } from './row.ts'
import type { OutboxBacklog, OutboxStore } from './store.ts'

/** State of the outbox, reported about once a second. */
export interface OutboxReport {
  readonly backlog: OutboxBacklog
  /** Rows that this instance has swept since the last report. */
  readonly published: number
  /** True while Redis, or a shard of it, is away from this instance. */
  readonly circuitOpen: boolean
}

export interface SweepOptions {
  readonly store: OutboxStore
  readonly lease: Lease
  readonly publisher: Publisher
  readonly circuits: Circuits
  /** Rows whose deletion is pending. */
  readonly published: BatchedDelete
  readonly log: Log
  readonly onReport: (report: OutboxReport) => void
}

/** Age from which a row is published by the sweep. A younger one is still handled by the instance that committed it. */
const graceMs = 5_000
const idleIntervalMs = 1_000
/** Interval from the publication of a deferred row on, for {@link busyMs}: more rows of its channel may be on their way. */
const busyIntervalMs = 50
const busyMs = 5_000
const maxOldRows = 1_000
const pageChannels = 200
/** Rows of one page of channels, all channels together. */
const pageRows = 1_000
/** Rows published at once: all of them in one script, so that after a refusal no later row of the channel is published. */
const maxRowsAtOnce = 100

/**
 * Publishes the rows that were deferred, and those that a crash has left, in the order of their ids within each channel. One instance
 * sweeps at a time. It publishes outside of any transaction, so a process that vanishes locks no rows. Should two sweep at once, each
 * channel still has its order: each of them begins with the first row that is not published.
 */
export class Sweep {
  readonly #options: SweepOptions
  readonly #refusal: RepeatedFailure
  readonly #steps: Recurring
  #nextStepAt = 0
  #nextIdleAt = 0
  #busyUntil = -Infinity
  #publishedSinceReport = 0
  #refusedSinceReport = false

  constructor(options: SweepOptions) {
    this.#options = options
    this.#refusal = new RepeatedFailure(options.log, 'redis refuses publications: they are parked')
    this.#steps = new Recurring({
      intervalMs: busyIntervalMs,
      run: (closing) => this.#step(closing),
      log: options.log,
      failure: 'the outbox cannot be swept',
    })
  }

  /** Sweeps soon. */
  wake(): void {
    this.#nextStepAt = 0
    this.#busyUntil = performance.now() + busyMs
  }

  /** Logs that Redis refuses a row, unless the previous row was refused for the same reason. */
  logRefusal(reason: string): void {
    this.#refusedSinceReport = true
    this.#refusal.failed(new Error(reason))
  }

  async close(): Promise<void> {
    await this.#steps.close()
    // Without the database, the lease expires.
    await this.#options.lease.release().catch(() => {})
  }

  async #step(closing: AbortSignal): Promise<void> {
    const now = performance.now()
    if (now < this.#nextStepAt) return
    this.#nextStepAt = now < this.#busyUntil ? now : now + idleIntervalMs
    const idle = now >= this.#nextIdleAt
    if (idle) this.#nextIdleAt = now + idleIntervalMs
    if (await this.#hold()) {
      if (idle) await this.#deferOld(closing)
      while ((await this.#pass(closing)) > 0) this.wake()
    }
    if (idle) await this.#report()
  }

  #hold(): Promise<boolean> {
    const { lease, circuits } = this.#options
    return lease.hold({ impaired: circuits.anyOpen })
  }

  async #deferOld(closing: AbortSignal): Promise<void> {
    while ((await this.#options.store.deferOld(graceMs, maxOldRows)) === maxOldRows && !closing.aborted);
  }

  /** Publishes some rows of each channel. Returns the number of rows that are done. */
  async #pass(closing: AbortSignal): Promise<number> {
    const { store, circuits } = this.#options
    let done = 0
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page = await store.deferredAfter(after, pageChannels)
      const channels = page.filter(({ channel, due }) => due && !circuits.isOpen(channel)).map(({ channel }) => channel)
      if (channels.length > 0) {
        const { rows, obsolete } = await store.deferredRows(channels, Math.ceil(pageRows / channels.length))
        if (obsolete.length > 0) await store.deleteDeferred(obsolete)
        done += obsolete.length
        const stopped = new Set<string>()
        for (let start = 0; start < rows.length; start += maxRowsAtOnce) {
          if (closing.aborted || !(await this.#hold())) return 0
          done += await this.#publish(rows.slice(start, start + maxRowsAtOnce), stopped)
        }
      }
      after = page.length < pageChannels ? undefined : page.at(-1)?.channel
    }
    return done
  }

  /** Publishes rows, except those of `stopped` channels. Adds the channels of rows that stay: nothing may overtake these. */
  async #publish(rows: readonly OutboxRow[], stopped: Set<string>): Promise<number> {
    const { store, publisher, circuits, published } = this.#options
    const done: number[] = []
    /** The first refused row of each channel, with the reason. */
    const refused = new Map<string, { outboxId: number; reason: string }>()
    const publishOne = async ({ outboxId, channel, body }: OutboxRow) => {
      // Published before: only its deletion is pending.
      const result = published.has(outboxId) ? 0 : await publisher.publish(channel, body)
      if (typeof result === 'number') {
        done.push(outboxId)
        return
      }
      stopped.add(channel)
      if (result.away) circuits.open(channel, result)
      else if (!refused.has(channel)) refused.set(channel, { outboxId, reason: result.reason })
    }
    for (const { channel } of rows) if (circuits.isOpen(channel)) stopped.add(channel)
    await Promise.all(rows.filter(({ channel }) => !stopped.has(channel)).map(publishOne))
    this.#publishedSinceReport += done.length
    try {
      if (done.length > 0) await store.deleteDeferred(done)
    } catch (error) {
      for (const outboxId of done) published.add(outboxId)
      throw error
    }
    for (const { outboxId, reason } of refused.values()) {
      await store.postpone(outboxId, reason)
      this.logRefusal(reason)
    }
    return done.length
  }

  async #report(): Promise<void> {
    const { store, circuits, onReport } = this.#options
    const refused = this.#refusedSinceReport
    this.#refusedSinceReport = false
    const backlog = await store.backlog()
    // A row is recorded only after its refusal is logged, so the backlog may lack one that was just refused.
    if (backlog.parked === 0 && !refused && !this.#refusedSinceReport) this.#refusal.succeeded()
    onReport({ backlog, published: this.#publishedSinceReport, circuitOpen: circuits.anyOpen })
    this.#publishedSinceReport = 0
  }
}
