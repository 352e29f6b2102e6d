import { type Log, Recurring } from '@tidings/chassis'
import type { TaskEnding } from './ending.ts'
import type { TaskHistory } from './history.ts'
import { identityOf, type TaskRow } from './row.ts'
import type { TaskStore } from './store.ts'

export interface LeaseSweepOptions {
  readonly store: TaskStore
  readonly history: TaskHistory
  readonly ending: TaskEnding
  readonly leaseMs: number
  readonly log: Log
}

const sweepIntervalMs = 1_000
const sweepRows = 100

/**
 * Ends tasks whose producer has been silent for longer than its lease. Every instance sweeps; a task is ended once, by the instance
 * that claims it.
 */
export class LeaseSweep {
  readonly #options: LeaseSweepOptions
  readonly #sweep: Recurring

  constructor(options: LeaseSweepOptions) {
    this.#options = options
    this.#sweep = new Recurring({
      intervalMs: sweepIntervalMs,
      run: (closing) => this.#run(closing),
      log: options.log,
      failure: 'sweep of tasks failed',
    })
  }

  close(): Promise<void> {
    return this.#sweep.close()
  }

  async #run(closing: AbortSignal): Promise<void> {
    for (;;) {
      const rows = await this.#options.store.claimExpired(sweepRows)
      // After a failure the rows are claimed again later. While Redis is away, neither the last event nor the text of a task is known.
      for (const row of rows) await this.#renewOrEnd(row)
      if (rows.length < sweepRows || closing.aborted) return
    }
  }

  async #renewOrEnd(row: TaskRow): Promise<void> {
    const { store, history, ending, leaseMs, log } = this.#options
    const { taskId } = row
    // Redis records every event, MySQL only some of them.
    const silenceMs = await history.silenceMs(identityOf(row))
    if (silenceMs !== null && silenceMs < leaseMs) return store.renew(taskId, Math.max(1, silenceMs))
    if (await ending.endFirst(row, { status: 'interrupted' })) log.info({ taskId, silenceMs }, 'a silent task was ended')
  }
}
