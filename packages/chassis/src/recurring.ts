import type { Log } from './log.ts'
import { RepeatedFailure } from './repeated-failure.ts'

/** Share of the interval by which each wait may be shorter or longer, so that instances started together drift apart. */
const jitter = 0.25

export interface RecurringOptions {
  /** Mean time between the end of one run and the start of the next, in ms. */
  readonly intervalMs: number
  /** A job that takes several steps stops between them once `closing` is aborted. */
  readonly run: (closing: AbortSignal) => Promise<void>
  readonly log: Log
  /** Text of the log line when a run rejects; repeats are logged once. */
  readonly failure: string
}

/** Runs a job again and again, never twice at a time. A run that rejects is logged and followed by the next one. */
export class Recurring {
  readonly #options: RecurringOptions
  readonly #failure: RepeatedFailure
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  /** The first run starts after one interval. */
  constructor(options: RecurringOptions) {
    this.#options = options
    this.#failure = new RepeatedFailure(options.log, options.failure)
    this.#schedule()
  }

  /** Starts no further run, and resolves when the current one has ended. */
  async close(): Promise<void> {
    this.#closing.abort()
    clearTimeout(this.#timer)
    await this.#running
  }

  #schedule(): void {
    if (this.#closing.signal.aborted) return
    const delayMs = this.#options.intervalMs * (1 - jitter + Math.random() * 2 * jitter)
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
