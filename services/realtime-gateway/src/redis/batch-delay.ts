import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'

const msEach = 5
const mostMs = 30

/**
 * When a batch goes out: with the next turn of the loop, so that nobody waits who is alone; while many ask one after the other, the
 * later the more the last batch took, so that the batches grow with the rush.
 */
export class Pace {
  #next = Number.NEGATIVE_INFINITY

  async turn(): Promise<void> {
    const waitMs = this.#next - performance.now()
    await (waitMs > 0 ? delay(waitMs) : nextTurn())
  }

  /** A batch of `count` goes out. */
  took(count: number): void {
    this.#next = performance.now() + Math.min(count * msEach, mostMs)
  }
}
