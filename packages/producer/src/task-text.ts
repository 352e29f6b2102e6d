/**
 * The whole text of a task, kept so that it can be sent again from any byte. notify-api limits its size (MAX_TASK_TEXT_BYTES).
 */
export class TaskText {
  readonly #encoder = new TextEncoder()
  readonly #parts: Uint8Array[] = []
  #bytes = 0
  /** A high surrogate at the end of the text, until its low surrogate is added: tokens may be cut anywhere. */
  #highSurrogate = ''
  #wake: (() => void) | undefined

  /** Length in bytes of UTF-8. */
  get bytes(): number {
    return this.#bytes
  }

  add(text: string): void {
    const whole = this.#highSurrogate + text
    const last = whole.charCodeAt(whole.length - 1)
    const end = last >= 0xd800 && last <= 0xdbff ? whole.length - 1 : whole.length
    this.#highSurrogate = whole.slice(end)
    if (end === 0) return
    const part = this.#encoder.encode(whole.slice(0, end))
    this.#parts.push(part)
    this.#bytes += part.length
    this.wake()
  }

  /** Returns the bytes after `offset`; empty when there are none yet. */
  after(offset: number): Uint8Array {
    const missing: Uint8Array[] = []
    let end = this.#bytes
    // From the newest part backwards: nearly always only the last few are missing.
    for (let index = this.#parts.length - 1; index >= 0 && end > offset; index--) {
      const part = this.#parts[index] as Uint8Array
      const start = end - part.length
      missing.unshift(start < offset ? part.subarray(offset - start) : part)
      end = start
    }
    return missing.length === 1 ? (missing[0] as Uint8Array) : Buffer.concat(missing)
  }

  /** Resolves at the next `add` or `wake`. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake
      this.#wake = () => {
        before?.()
        resolve()
      }
    })
  }

  /** Resolves what waits in `changed`, though no text was added. */
  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
