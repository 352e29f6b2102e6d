import { type Log, loggable } from '@tidings/chassis'
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

/** Deletes old rows now and then; one instance at a time, a bounded number in each pass. */
export class Retention {
  readonly #options: RetentionOptions
  #next: NodeJS.Timeout | undefined
  #pass: Promise<void> | undefined
  #closed = false

  constructor(options: RetentionOptions) {
    this.#options = options
    this.#later()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#next)
    await this.#pass
  }

  #later(): void {
    if (this.#closed) return
    this.#next = setTimeout(
      () => {
        this.#pass = this.#retire().finally(() => this.#later())
      },
      this.#options.intervalMs * (0.75 + Math.random() / 2),
    )
  }

  async #retire(): Promise<void> {
    const { store, days, log, onPass } = this.#options
    try {
      const retired = await store.retire({ days, batchRows, maxBatches })
      if (!retired) return
      onPass(retired)
      if (Object.values(retired).some((rows) => rows > 0)) log.info({ retired }, 'old rows deleted')
    } catch (error) {
      log.warn({ err: loggable(error) }, 'retention failed')
    }
  }
}
