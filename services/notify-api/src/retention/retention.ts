import { type Log, Recurring } from '@tidings/chassis'
import type { Retired, RetentionStore } from './store.ts'

export interface RetentionOptions {
  readonly store: RetentionStore
  readonly days: number
  readonly intervalMs: number
  readonly log: Log
  readonly onPass: (retired: Retired) => void
}

const batchRows = 1_000
const maxBatches = 100

/** Deletes expired rows periodically: one instance at a time, a bounded number of rows per pass. */
export class Retention {
  readonly #options: RetentionOptions
  readonly #passes: Recurring

  constructor(options: RetentionOptions) {
    const { intervalMs, log } = options
    this.#options = options
    this.#passes = new Recurring({ intervalMs, run: () => this.#retire(), log, failure: 'retention failed' })
  }

  close(): Promise<void> {
    return this.#passes.close()
  }

  async #retire(): Promise<void> {
    const { store, days, log, onPass } = this.#options
    const retired = await store.retire({ days, batchRows, maxBatches })
    if (!retired) return
    onPass(retired)
    if (Object.values(retired).some((rows) => rows > 0)) log.info({ retired }, 'old rows deleted')
  }
}
