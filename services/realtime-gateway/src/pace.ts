import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'

/** While many ask one after the other, what they ask goes out together, once in this time. */
const paceMs = 10

/** When a batch goes out: with the next turn of the loop if the last one was a while ago, so that nobody waits who is alone. */
export class Pace {
  #last = Number.NEGATIVE_INFINITY

  async turn(): Promise<void> {
    const waitMs = this.#last + paceMs - performance.now()
    await (waitMs > 0 ? delay(waitMs) : nextTurn())
    this.#last = performance.now()
  }
}
