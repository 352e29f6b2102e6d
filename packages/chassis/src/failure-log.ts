import type { Log } from './log.ts'
import { loggable } from './loggable.ts'

/** A failure that has not occurred for so long is logged again. */
const quietMs = 60_000
/** Most failures that are remembered, the most recent ones. */
const maxFailures = 100

/**
 * Logs failures that occur for each of many requests: a failure with its causes the first time, and not again until it has not occurred
 * for a minute. What tells failures apart is their text, and where they occurred.
 */
export class FailureLog {
  readonly #log: Log
  readonly #level: 'warn' | 'error'
  readonly #lastAt = new Map<string, number>()

  /** `level` is that of the log lines. */
  constructor(log: Log, level: 'warn' | 'error') {
    this.#log = log
    this.#level = level
  }

  /** Logs `fields` and the error, with the message `event`. Returns false if it was logged before. */
  failed(event: string, error: unknown, fields: Readonly<Record<string, unknown>> = {}): boolean {
    const { name, message } = error as Error
    const key = JSON.stringify([event, fields['call'], name, message])
    const now = performance.now()
    const lastAt = this.#lastAt.get(key)
    this.#lastAt.delete(key)
    this.#lastAt.set(key, now)
    if (this.#lastAt.size > maxFailures) this.#lastAt.delete(this.#lastAt.keys().next().value as string)
    if (lastAt !== undefined && now - lastAt < quietMs) return false
    this.#log[this.#level]({ ...fields, err: loggable(error) }, event)
    return true
  }
}
