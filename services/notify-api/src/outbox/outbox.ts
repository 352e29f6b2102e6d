import { setTimeout as delay } from 'node:timers/promises'
import { type Log, RepeatedFailure } from '@tidings/chassis'
import { failureOf, GroupCommit, type Weight } from '../database/group-commit.ts'
import type { Lease } from '../database/lease.ts'
import { BatchedDelete } from './batched-delete.ts'
import { Circuits } from './circuits.ts'
import type { PublishFailure } from './publish-failure.ts'
import type { Publisher } from './redis-publisher.ts'
import type { OutboxRow } from './row.ts'
import type { Deferral, OutboxStore } from './store.ts'
import { type OutboxReport, Sweep } from './sweep.ts'

export interface OutboxOptions {
  readonly store: OutboxStore
  readonly lease: Lease
  readonly publisher: Publisher
  readonly log: Log
  readonly onReport: (report: OutboxReport) => void
}

interface QueuedDeferral extends Deferral, Weight {}

/** A row whose channel may have deferred rows. */
interface WaitingRow extends OutboxRow {
  readonly resolve: (online: boolean | null | Promise<boolean | null>) => void
}

/** Waits between the looks at a channel whose last deferred rows are about to be published. After the last one, the row is deferred too. */
const waitsMs = [0, 25, 50, 100, 200]
/** A channel whose deferred rows are further apart has more of them than a wait is worth. */
const maxSpan = 1_000
/** Bounds of the deferrals that wait to be written. Rows beyond them are found by the sweep once they are old. */
const deferralLimits = { maxRows: 1_000, maxBytes: 1_048_576, maxQueued: 100_000, maxQueuedBytes: 67_108_864, maxWaitMs: 5_000 }

/**
 * Publishes committed rows: immediately, by the instance that committed them, and by a sweep for the rows that were deferred. A row is
 * deleted only after Redis has confirmed its publication, so each is published at least once.
 *
 * A row is published immediately only if, after its commit, its channel has no deferred rows; otherwise it is deferred behind them. It is
 * also deferred when Redis is away or refuses it. A request gets its response when its rows are either published or deferred, so a
 * later request, to any instance, finds one or the other: within a channel, publications have the order of acceptance.
 */
export class Outbox {
  readonly #store: OutboxStore
  readonly #publisher: Publisher
  readonly #published: BatchedDelete
  readonly #circuits: Circuits
  readonly #sweep: Sweep
  readonly #deferrals: GroupCommit<QueuedDeferral, void>
  readonly #deferralFailure: RepeatedFailure
  /** Rows that are neither published nor deferred yet. */
  readonly #unsettled = new Set<Promise<unknown>>()

  constructor({ store, lease, publisher, log, onReport }: OutboxOptions) {
    this.#store = store
    this.#publisher = publisher
    this.#published = new BatchedDelete((ids) => store.delete(ids), log)
    this.#circuits = new Circuits({ publisher, log, onClose: () => this.#sweep.wake() })
    this.#sweep = new Sweep({ store, lease, publisher, circuits: this.#circuits, published: this.#published, log, onReport })
    const commit = async (rows: readonly QueuedDeferral[]): Promise<void[]> => {
      await store.defer(rows)
      return []
    }
    this.#deferrals = new GroupCommit({ commit, failure: failureOf }, deferralLimits)
    this.#deferralFailure = new RepeatedFailure(log, 'rows cannot be deferred to the sweep: it finds them once they are old')
  }

  /** True while Redis, or a shard of it, is away. */
  get circuitOpen(): boolean {
    return this.#circuits.anyOpen
  }

  /** Resolves when each row is published or deferred. Never rejects. */
  async publish(rows: readonly OutboxRow[]): Promise<void> {
    await Promise.all(this.publishEach(rows, { noneDeferred: false }))
  }

  /**
   * For each row, resolves when it is published or deferred, to whether a gateway received it; to null when it is deferred. Never rejects.
   * `noneDeferred` is true when no channel had deferred rows after the commit. Otherwise, this is queried.
   */
  publishEach(rows: readonly OutboxRow[], { noneDeferred }: { noneDeferred: boolean }): Promise<boolean | null>[] {
    const results = noneDeferred ? rows.map((row) => this.#publishNow(row)) : this.#publishBehindDeferred(rows)
    const settled = Promise.all(results).finally(() => this.#unsettled.delete(settled))
    this.#unsettled.add(settled)
    return results
  }

  /** Leaves the rows of these notifications to the sweep, if they are not published yet. */
  async deferNotifications(notificationIds: readonly number[], channels: readonly string[]): Promise<void> {
    await this.#store.deferNotifications(notificationIds, channels)
  }

  /** Resolves when every row is published or deferred. */
  async close(): Promise<void> {
    await this.#sweep.close()
    await Promise.all(this.#unsettled)
    await this.#circuits.close()
    await this.#published.close()
  }

  async #publishNow(row: OutboxRow): Promise<boolean | null> {
    const { outboxId, channel, body } = row
    if (this.#circuits.isOpen(channel)) return this.#defer(row)
    const result = await this.#publisher.publish(channel, body)
    if (typeof result === 'number') {
      this.#published.add(outboxId)
      return result > 0
    }
    if (result.away) this.#circuits.open(channel, result)
    else this.#sweep.logRefusal(result.reason)
    return this.#defer(row, result)
  }

  async #defer({ outboxId, channel }: OutboxRow, failure?: PublishFailure): Promise<null> {
    const refusal = failure && !failure.away ? { reason: failure.reason } : {}
    try {
      await this.#deferrals.submit({ outboxId, channel, ...refusal, rows: 1, bytes: channel.length })
      this.#deferralFailure.succeeded()
    } catch (error) {
      this.#deferralFailure.failed(error)
    }
    return null
  }

  #publishBehindDeferred(rows: readonly OutboxRow[]): Promise<boolean | null>[] {
    const waiting: WaitingRow[] = []
    const results = rows.map((row) => new Promise<boolean | null>((resolve) => waiting.push({ ...row, resolve })))
    void this.#settle(waiting)
    return results
  }

  async #settle(rows: readonly WaitingRow[]): Promise<void> {
    let waiting = rows
    try {
      for (const waitMs of waitsMs) {
        if (waitMs > 0) await delay(waitMs)
        waiting = await this.#settleSome(waiting)
        if (waiting.length === 0) return
      }
    } catch (error) {
      this.#deferralFailure.failed(error)
    }
    for (const row of waiting) row.resolve(this.#defer(row))
  }

  /** Publishes or defers rows. Returns those whose channel has its last deferred rows published soon. */
  async #settleSome(rows: readonly WaitingRow[]): Promise<WaitingRow[]> {
    const none = await this.#store.noneDeferred()
    const found = none ? [] : await this.#store.deferredAmong([...new Set(rows.map(({ channel }) => channel))])
    const deferred = new Map(found.map((one) => [one.channel, one]))
    const waiting: WaitingRow[] = []
    for (const row of rows) {
      const before = deferred.get(row.channel)
      if (!before) row.resolve(this.#publishNow(row))
      else if (before.attempts > 0 || before.span > maxSpan || this.#circuits.isOpen(row.channel)) row.resolve(this.#defer(row))
      else waiting.push(row)
    }
    return waiting
  }
}
