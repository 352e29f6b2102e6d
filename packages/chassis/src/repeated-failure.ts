import type { Log } from './log.ts'
import { loggable } from './loggable.ts'

/** Logs a failure that may repeat: the first time, and then only after a success or with another error message. */
export class RepeatedFailure {
  readonly #log: Log
  readonly #event: string
  #message: string | undefined

  /** `event` is the message of the log line, which has level `warn`. */
  constructor(log: Log, event: string) {
    this.#log = log
    this.#event = event
  }

  /** True from a failure to the next success. */
  get failing(): boolean {
    return this.#message !== undefined
  }

  /** Records a failure. Logs it unless its message is that of the previous failure. */
  failed(error: unknown): void {
    const { message } = error as Error
    if (message !== this.#message) this.#log.warn({ err: loggable(error) }, this.#event)
    this.#message = message
  }

  /** Records a success: the next failure is logged again. */
  succeeded(): void {
    this.#message = undefined
  }
}
