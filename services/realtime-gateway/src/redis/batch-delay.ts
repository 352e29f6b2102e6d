import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'

const msPerItem = 5
const maxDelayMs = 30

/**
 * Delays batches, so that they grow with the load: a batch goes out in the next turn of the event loop, and during a burst later, the
 * later the more the last batch held.
 */
export class BatchDelay {
  #nextAt = Number.NEGATIVE_INFINITY

  /** Resolves when the next batch may go out. */
  async wait(): Promise<void> {
    const waitMs = this.#nextAt - performance.now()
    await (waitMs > 0 ? delay(waitMs) : nextTurn())
  }

  /** A batch of `count` goes out. */
  sent(count: number): void {
    this.#nextAt = performance.now() + Math.min(count * msPerItem, maxDelayMs)
  }
}
