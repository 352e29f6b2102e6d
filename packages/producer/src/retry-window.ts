import { setTimeout as delay } from 'node:timers/promises'
import { Unavailable } from './problem.ts'

const firstPauseMs = 50
const maxPauseMs = 2_000
/** Keeps `2 ** failures` finite; `maxPauseMs` is reached earlier. */
const maxDoublings = 10
/** Jitter: a pause takes at least this share of its length. */
const minPauseFactor = 0.5

/** Limits how long a failing call is retried. Pauses grow from 50 ms to 2 s, with jitter, and are no shorter than `Retry-After`. */
export class RetryWindow {
  readonly #lengthMs: number
  #deadline: number | undefined
  #failures = 0

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs
  }

  /** Opens a new window, after progress was made. */
  reset(): void {
    this.#deadline = undefined
    this.#failures = 0
  }

  /**
   * Waits before the next attempt. The window opens with the first failure.
   *
   * @throws the error itself when a retry cannot help, or when the window has closed or would close during the wait for `Retry-After`.
   */
  async waitAfter(error: unknown): Promise<void> {
    this.#deadline ??= performance.now() + this.#lengthMs
    const retryAfterMs = error instanceof Unavailable ? error.retryAfterMs : 0
    if (!isTemporary(error) || performance.now() + retryAfterMs > this.#deadline) throw error
    const pauseMs = Math.min(firstPauseMs * 2 ** Math.min(this.#failures++, maxDoublings), maxPauseMs)
    await delay(retryAfterMs + pauseMs * (minPauseFactor + Math.random() * (1 - minPauseFactor)))
  }
}

/** `fetch` rejects with TypeError when a connection fails, and with TimeoutError when its `AbortSignal.timeout` fires. */
function isTemporary(error: unknown): boolean {
  return error instanceof Unavailable || error instanceof TypeError || (error as Error).name === 'TimeoutError'
}
