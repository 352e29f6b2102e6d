import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'

const msPerItem = 5
const maxDelayMs = 30

/**
 * Delays batches, so that they grow with the load. A single batch is sent in the next turn of the event loop; during a burst the delay
 * grows with the length of the last batch.
 */
export class BatchDelay {
  #nextAt = Number.NEGATIVE_INFINITY

  /** Resolves when the next batch may be sent. */
  async wait(): Promise<void> {
    const waitMs = this.#nextAt - performance.now()
    await (waitMs > 0 ? delay(waitMs) : nextTurn())
  }

  /** Records that a batch of `count` items is sent now. */
  sent(count: number): void {
    this.#nextAt = performance.now() + Math.min(count * msPerItem, maxDelayMs)
  }
}
