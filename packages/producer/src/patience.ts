import { setTimeout as delay } from 'node:timers/promises'

/** Nobody answered, or not now. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered'
}

const maxBackoffMs = 2_000

/** How long something is tried again that gets no answer, with growing pauses. */
export class Patience {
  readonly #ms: number
  #deadline: number | undefined
  #failures = 0

  constructor(ms: number) {
    this.#ms = ms
  }

  /** It went on for a while: patience begins anew. */
  renew(): void {
    this.#deadline = undefined
    this.#failures = 0
  }

  /** Waits before the next attempt; throws the error when there is none. */
  async after(error: unknown): Promise<void> {
    this.#deadline ??= performance.now() + this.#ms
    if (!isUnanswered(error) || performance.now() > this.#deadline) throw error
    await delay(Math.min(50 * 2 ** Math.min(this.#failures++, 10), maxBackoffMs) * (0.5 + Math.random() / 2))
  }
}

/** fetch says TypeError for a connection that fails, and TimeoutError when our own time is up. */
function isUnanswered(error: unknown): boolean {
  return error instanceof Unanswered || error instanceof TypeError || (error as Error).name === 'TimeoutError'
}
