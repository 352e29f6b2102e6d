/** A budget holds two seconds of frames. */
const seconds = 2

/** A token bucket: how many frames a session may still send. */
export class FrameBudget {
  readonly #perSecond: number
  #left: number
  #at: number

  /** `now` in ms, of any clock. */
  constructor(perSecond: number, now: number) {
    this.#perSecond = perSecond
    this.#left = perSecond * seconds
    this.#at = now
  }

  /** False when it is used up. */
  spend(cost: number, now: number): boolean {
    const refilled = this.#left + ((now - this.#at) / 1_000) * this.#perSecond
    this.#left = Math.min(refilled, this.#perSecond * seconds) - cost
    this.#at = now
    return this.#left >= 0
  }
}
