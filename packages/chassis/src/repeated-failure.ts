import type { Log } from './log.ts'
import { loggable } from './loggable.ts'

/** Logs a failure that may repeat many times: once when it starts, and again only after a success or with another message. */
export class RepeatedFailure {
  readonly #log: Log
  readonly #event: string
  #message: string | undefined

  /** `event`: the text of the log line, at level `warn`. */
  constructor(log: Log, event: string) {
    this.#log = log
    this.#event = event
  }

  /** True from a failure to the next success. */
  get failing(): boolean {
    return this.#message !== undefined
  }

  /** Logs `error`, unless it is the failure that was logged last. */
  failed(error: unknown): void {
    const { message } = error as Error
    if (message !== this.#message) this.#log.warn({ err: loggable(error) }, this.#event)
    this.#message = message
  }

  /** The next failure is logged again. */
  succeeded(): void {
    this.#message = undefined
  }
}
