import { type Log, loggable, Recurring } from '@tidings/chassis'
import { databaseCodes, isAway, isTransient } from '../database/error.ts'
import { Problem } from '../http/problem.ts'
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
/** A task whose end has failed this often, while Redis and MySQL responded, is ended without its text and data. */
const maxFailedEnds = 3
/** A pass ends when Redis or MySQL has not responded for this many tasks in succession: each of them takes a timeout. */
const maxOutages = 3
/** Most tasks whose failed ends are counted. */
const maxCountedTasks = 1_000

/**
 * Ends tasks whose producer has been silent for longer than its lease. Every instance sweeps; a task is ended once, by the instance
 * that claims it.
 */
export class LeaseSweep {
  readonly #options: LeaseSweepOptions
  readonly #sweep: Recurring
  /** Number of failed ends by task id. */
  readonly #failedEnds = new Map<string, number>()

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
      let outages = 0
      for (const row of rows) {
        try {
          await this.#renewOrEnd(row)
          this.#failedEnds.delete(row.taskId)
          outages = 0
        } catch (error) {
          // Claimed again later. While Redis is away, neither the last event nor the text of a task is known.
          if (!isOutage(error)) this.#countFailedEnd(row, error)
          else if (++outages === maxOutages || row === rows.at(-1)) throw error
        }
      }
      if (rows.length < sweepRows || closing.aborted) return
    }
  }

  async #renewOrEnd(row: TaskRow): Promise<void> {
    const { store, history, ending, leaseMs, log } = this.#options
    const { taskId } = row
    const failedEnds = this.#failedEnds.get(taskId) ?? 0
    if (failedEnds >= maxFailedEnds) {
      if (await ending.endWithoutContent(row, { status: 'interrupted' })) {
        log.error({ taskId, failedEnds }, 'a silent task was ended without its text and data')
      }
      return
    }
    // Redis records every event, MySQL only some of them.
    const silenceMs = await history.silenceMs(identityOf(row))
    if (silenceMs !== null && silenceMs < leaseMs) return store.renew(taskId, Math.max(1, silenceMs))
    if (await ending.endFirst(row, { status: 'interrupted' })) log.info({ taskId, silenceMs }, 'a silent task was ended')
  }

  #countFailedEnd({ taskId }: TaskRow, error: unknown): void {
    const failedEnds = (this.#failedEnds.get(taskId) ?? 0) + 1
    this.#failedEnds.set(taskId, failedEnds)
    if (this.#failedEnds.size > maxCountedTasks) this.#failedEnds.delete(this.#failedEnds.keys().next().value as string)
    this.#options.log.error(
      { err: loggable(error), ...databaseCodes(error), taskId, failedEnds },
      'a silent task could not be ended',
    )
  }
}

/** Returns whether an error concerns all tasks, rather than one. */
function isOutage(error: unknown): boolean {
  return error instanceof Problem || isAway(error) || isTransient(error)
}
