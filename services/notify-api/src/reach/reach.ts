import { randomUUID } from 'node:crypto'
import { type Log, Recurring, RepeatedFailure } from '@tidings/chassis'
import { failureOf, GroupCommit, type Weight } from '../database/group-commit.ts'
import type { Deliverer } from './deliverer.ts'
import type { EscalationBacklog, EscalationStore } from './store.ts'
import { type Way, ways } from './way.ts'
import { EscalationWorker, type EscalationWorkerOptions } from './worker.ts'

export interface ReachOptions {
  readonly store: EscalationStore
  /** The ways that are configured. */
  readonly deliverers: Readonly<Partial<Record<Way, Deliverer>>>
  readonly log: Log
  readonly onOutcome: EscalationWorkerOptions['onOutcome']
  /** Called for each configured way, at most every few seconds. */
  readonly onBacklog: (way: Way, backlog: EscalationBacklog) => void
}

interface Expedited extends Weight {
  readonly notificationIds: readonly number[]
}

const backlogIntervalMs = 5_000
/** Bounds of the pushes that wait to be expedited. Those beyond them are pushed after their grace period. */
const expediteLimits = { maxRows: 1_000, maxBytes: 1_048_576, maxQueued: 10_000, maxQueuedBytes: 67_108_864, maxWaitMs: 5_000 }

/**
 * Reaches members without an open tab: delivers what was sent to them and not received or seen in time. Each way has a worker of its own.
 */
export class Reach {
  readonly #workers: ReadonlyMap<Way, EscalationWorker>
  readonly #expedited: GroupCommit<Expedited, void>
  readonly #expediteFailure: RepeatedFailure
  readonly #expediting = new Set<Promise<void>>()
  readonly #reports: Recurring | undefined

  constructor({ store, deliverers, log, onOutcome, onBacklog }: ReachOptions) {
    const holder = randomUUID()
    this.#workers = new Map(
      ways.flatMap((way) => {
        const deliverer = deliverers[way]
        return deliverer ? [[way, new EscalationWorker({ way, deliverer, store, holder, log, onOutcome })]] : []
      }),
    )
    const commit = async (group: readonly Expedited[]): Promise<void[]> => {
      await store.expedite(group.flatMap(({ notificationIds }) => notificationIds))
      return []
    }
    this.#expedited = new GroupCommit({ commit, failure: failureOf }, expediteLimits)
    this.#expediteFailure = new RepeatedFailure(log, 'pushes cannot be expedited: they are sent after their grace period')
    if (this.#workers.size === 0) return
    this.#reports = new Recurring({
      intervalMs: backlogIntervalMs,
      run: async () => {
        for (const way of this.#workers.keys()) onBacklog(way, await store.backlog(way))
      },
      log,
      failure: 'escalations cannot be counted',
    })
  }

  /** Pushes these notifications at once, since no device of their members is connected. */
  expedite(notificationIds: readonly number[]): void {
    if (notificationIds.length === 0) return
    const expediting = this.#expedite(notificationIds).finally(() => this.#expediting.delete(expediting))
    this.#expediting.add(expediting)
  }

  /** Resolves when the last delivery has ended. */
  async close(): Promise<void> {
    await Promise.all(this.#expediting)
    await this.#reports?.close()
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()))
  }

  async #expedite(notificationIds: readonly number[]): Promise<void> {
    try {
      await this.#expedited.submit({ notificationIds, rows: notificationIds.length, bytes: 0 })
      this.#expediteFailure.succeeded()
      this.#workers.get('push')?.wake()
    } catch (error) {
      this.#expediteFailure.failed(error)
    }
  }
}
