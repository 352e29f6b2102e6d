import { type Log, loggable } from '@tidings/chassis'
import { nameOf, type TaskRow } from './row.ts'
import type { TaskStore } from './store.ts'
import type { TaskEnding } from './ending.ts'
import type { TaskHistory } from './history.ts'

export interface TaskLeaseOptions {
  readonly store: TaskStore
  readonly history: TaskHistory
  readonly ending: TaskEnding
  readonly leaseMs: number
  readonly log: Log
}

const sweepIntervalMs = 1_000
const sweepRows = 100

/**
 * Ends tasks whose producer has been silent past its lease, so that no spinner turns for ever. Every instance looks each second; each
 * task is ended by one of them, once.
 */
export class TaskLease {
  readonly #options: TaskLeaseOptions
  #next: NodeJS.Timeout | undefined
  #sweeping: Promise<void> | undefined
  #closed = false

  constructor(options: TaskLeaseOptions) {
    this.#options = options
    this.#later()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#next)
    await this.#sweeping
  }

  #later(): void {
    if (this.#closed) return
    this.#next = setTimeout(
      () => {
        this.#sweeping = this.#sweep()
          .catch((error: unknown) => this.#options.log.warn({ err: loggable(error) }, 'sweep of tasks failed'))
          .finally(() => this.#later())
      },
      sweepIntervalMs * (0.75 + Math.random() / 2),
    )
  }

  async #sweep(): Promise<void> {
    for (;;) {
      const rows = await this.#options.store.claimSilent(sweepRows)
      // One that fails is claimed again later. While Redis is away nobody knows who is silent, and the text so far is there.
      for (const row of rows) await this.#judge(row)
      if (rows.length < sweepRows || this.#closed) return
    }
  }

  async #judge(row: TaskRow): Promise<void> {
    const { store, history, ending, leaseMs, log } = this.#options
    const { taskId } = row
    // MySQL is told of life only now and then. Redis knows each sign of it.
    const silenceMs = await history.silenceMs(nameOf(row))
    if (silenceMs !== null && silenceMs < leaseMs) return store.renew(taskId, Math.max(1, silenceMs))
    if (await ending.endFirst(row, { status: 'interrupted' })) log.info({ taskId, silenceMs }, 'a silent task was ended')
  }
}
