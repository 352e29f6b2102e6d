import { FailureLog, type Log, RepeatedFailure } from '@tidings/chassis'
import { isTransient } from '../database/error.ts'
import { failureOf, GroupCommit, type Weight } from '../database/group-commit.ts'
import type { Delivered, Deliverer, Escalated } from './deliverer.ts'
import type { EscalationStore, Settlement } from './store.ts'
import type { Way } from './way.ts'

/** `unneeded`: the member has seen or received it, or it is no longer stored. */
export type EscalationOutcome = Delivered['outcome'] | 'unneeded'

export interface EscalationWorkerOptions {
  readonly way: Way
  readonly deliverer: Deliverer
  readonly store: Pick<EscalationStore, 'claim' | 'needed' | 'settle'>
  /** Identifies this instance in its claims. */
  readonly holder: string
  readonly log: Log
  readonly onOutcome: (way: Way, outcome: EscalationOutcome) => void
}

/** Interval of the queries for what is due, while nothing is. It varies, so that instances started together drift apart. */
const idleIntervalMs = 1_000
const jitterShare = 0.25
/** Most escalations of one claim: their content is read at once. */
const maxClaim = 100
/** Time until what could not be delivered because of a defect is tried again. */
const defectRetrySeconds = 60
/** Bounds of the settlements that wait to be written. What is not written is delivered again. */
const settlementLimits = { maxRows: 500, maxBytes: 1_048_576, maxQueued: 100_000, maxQueuedBytes: 67_108_864, maxWaitMs: 5_000 }

interface QueuedSettlement extends Settlement, Weight {}

/**
 * Delivers the escalations of one way, each of them once as long as no instance dies. Every instance claims some of those that are due, as
 * many as it delivers at a time. A claim expires when its instance has vanished. Nothing is locked during a delivery, and a delivery
 * that takes long only takes one of the places.
 */
export class EscalationWorker {
  readonly #options: EscalationWorkerOptions
  readonly #settlements: GroupCommit<QueuedSettlement, void>
  readonly #claimFailure: RepeatedFailure
  readonly #settleFailure: RepeatedFailure
  readonly #deliveryFailures: FailureLog
  readonly #inFlight = new Set<Promise<void>>()
  readonly #ended: Promise<void>
  #closing = false
  #woken = false
  #resume = () => {}
  /** True while the next claim waits for the end of a delivery. */
  #full = false

  constructor(options: EscalationWorkerOptions) {
    const { way, store, holder, log } = options
    this.#options = options
    const commit = async (group: readonly QueuedSettlement[]): Promise<void[]> => {
      await store.settle(way, holder, group)
      return []
    }
    this.#settlements = new GroupCommit({ commit, failure: failureOf }, settlementLimits)
    this.#claimFailure = new RepeatedFailure(log, `${way} cannot be claimed`)
    this.#settleFailure = new RepeatedFailure(log, `the end of a ${way} cannot be stored: it may be repeated`)
    this.#deliveryFailures = new FailureLog(log, 'warn')
    this.#ended = this.#run()
  }

  /** Claims soon. */
  wake(): void {
    this.#woken = true
    this.#resume()
  }

  /** Claims nothing more. Resolves when the last delivery has ended. */
  async close(): Promise<void> {
    this.#closing = true
    this.wake()
    await this.#ended
    await Promise.all(this.#inFlight)
    await this.#options.deliverer.close()
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      this.#woken = false
      const free = this.#options.deliverer.maxInFlight - this.#inFlight.size
      this.#full = free <= 0
      const more = !this.#full && (await this.#claim(Math.min(free, maxClaim)))
      if (!more) await this.#untilWoken()
    }
  }

  /** Resolves to whether more may be due. */
  async #claim(limit: number): Promise<boolean> {
    const { way, store, holder } = this.#options
    try {
      const { claims, more } = await store.claim(way, holder, limit)
      const items = claims.length > 0 ? await store.needed(way, claims) : []
      const neededIds = new Set(items.map(({ notificationId }) => notificationId))
      for (const { notificationId } of claims) if (!neededIds.has(notificationId)) this.#track(this.#drop(notificationId))
      for (const item of items) this.#track(this.#deliver(item))
      this.#claimFailure.succeeded()
      return more
    } catch (error) {
      // Of two instances that claim the same, a cluster refuses one.
      if (!isTransient(error)) this.#claimFailure.failed(error)
      return false
    }
  }

  #untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, idleIntervalMs * (1 - jitterShare + Math.random() * 2 * jitterShare))
      this.#resume = () => {
        clearTimeout(timer)
        resolve()
      }
      if (this.#woken) this.#resume()
    })
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => {
      this.#inFlight.delete(tracked)
      if (this.#full) this.wake()
    })
    this.#inFlight.add(tracked)
  }

  async #drop(notificationId: number): Promise<void> {
    this.#options.onOutcome(this.#options.way, 'unneeded')
    await this.#settle({ notificationId, outcome: 'deleted', afterMs: 0, reason: undefined })
  }

  async #deliver(item: Escalated): Promise<void> {
    const { way, deliverer, onOutcome } = this.#options
    const { notificationId } = item
    const delivered = await deliverer.deliver(item).catch(afterDefect)
    const { outcome } = delivered
    onOutcome(way, outcome)
    const reason = 'reason' in delivered ? delivered.reason : undefined
    if (reason !== undefined) {
      const event = outcome === 'dead' ? `a ${way} was given up` : `a ${way} failed and is tried again`
      this.#deliveryFailures.failed(event, new Error(reason), { notificationId })
    }
    const afterMs = delivered.outcome === 'retry' ? delivered.afterSeconds * 1_000 : 0
    await this.#settle({ notificationId, outcome: outcome === 'none' ? 'deleted' : outcome, afterMs, reason })
  }

  async #settle(settlement: Settlement): Promise<void> {
    try {
      await this.#settlements.submit({ ...settlement, rows: 1, bytes: settlement.reason?.length ?? 0 })
      this.#settleFailure.succeeded()
    } catch (error) {
      this.#settleFailure.failed(error)
    }
  }
}

function afterDefect(error: unknown): Delivered {
  return { outcome: 'retry', afterSeconds: defectRetrySeconds, reason: String(error) }
}
