import type { Log } from './log.ts'
import { RepeatedFailure } from './repeated-failure.ts'

/** Share of the interval by which a wait is shortened or extended at random, so that instances started together drift apart. */
const jitterShare = 0.25

/** Options of a {@link Recurring} job. */
export interface RecurringOptions {
  /** Mean time between the end of one run and the start of the next, in ms. */
  readonly intervalMs: number
  /** The job. A job of several steps checks `closing` between them, and stops when it is aborted. */
  readonly run: (closing: AbortSignal) => Promise<void>
  readonly log: Log
  /** Message of the log line when a run rejects. A repeated failure is logged once. */
  readonly failure: string
}

/** Runs a job repeatedly, one run at a time. A run that rejects is logged, and the next one starts after the usual interval. */
export class Recurring {
  readonly #options: RecurringOptions
  readonly #failure: RepeatedFailure
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  /** Schedules the first run after one interval. */
  constructor(options: RecurringOptions) {
    this.#options = options
    this.#failure = new RepeatedFailure(options.log, options.failure)
    this.#schedule()
  }

  /** Starts no further run. Resolves when the current run has ended. */
  async close(): Promise<void> {
    this.#closing.abort()
    clearTimeout(this.#timer)
    await this.#running
  }

  #schedule(): void {
    if (this.#closing.signal.aborted) return
    const delayMs = this.#options.intervalMs * (1 - jitterShare + Math.random() * 2 * jitterShare)
    this.#timer = setTimeout(() => {
      this.#running = this.#run().finally(() => this.#schedule())
    }, delayMs)
  }

  async #run(): Promise<void> {
    try {
      await this.#options.run(this.#closing.signal)
      this.#failure.succeeded()
    } catch (error) {
      this.#failure.failed(error)
    }
  }
}
