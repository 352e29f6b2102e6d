/**
 * Bytes of a line or body that has not arrived completely. The buffer grows by doubling, so that appending costs amortised O(1) a
 * byte.
 */
export class HeldBytes {
  length = 0
  #bytes: Uint8Array

  constructor(first: Uint8Array) {
    this.#bytes = new Uint8Array(first)
    this.length = first.length
  }

  /** Appends `more`. `maxLength` bounds the buffer; the caller ensures that `length` stays within it. */
  append(more: Uint8Array, maxLength: number): void {
    const length = this.length + more.length
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(2 * this.#bytes.length, maxLength)))
      grown.set(this.#bytes.subarray(0, this.length))
      this.#bytes = grown
    }
    this.#bytes.set(more, this.length)
    this.length = length
  }

  /** Returns the bytes so far, without a copy. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }
}
