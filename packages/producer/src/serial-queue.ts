/** Runs work one piece at a time, in the order it was added. Work that rejects does not stop what comes after it. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve()

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }

  /** Resolves when all work added so far has settled. */
  async idle(): Promise<void> {
    await this.#last
  }
}
