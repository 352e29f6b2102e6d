/** Bytes of a line or a body that came without its end. Grows by doubling, so that a byte is copied a bounded number of times. */
export class HeldBytes {
  length = 0
  #bytes: Uint8Array

  constructor(first: Uint8Array) {
    this.#bytes = new Uint8Array(first)
    this.length = first.length
  }

  /** `most`: what the whole may ever hold; the caller has made sure that `more` still fits. */
  append(more: Uint8Array, most: number): void {
    const length = this.length + more.length
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(2 * this.#bytes.length, most)))
      grown.set(this.#bytes.subarray(0, this.length))
      this.#bytes = grown
    }
    this.#bytes.set(more, this.length)
    this.length = length
  }

  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }
}
