/**
 * The text of a task as its producer knows it: all of it, so that whatever got lost on the way can be sent again from any byte. It is
 * bounded by what notify-api takes (MAX_TASK_TEXT_BYTES).
 */
export class TaskText {
  readonly #encoder = new TextEncoder()
  readonly #parts: Uint8Array[] = []
  #bytes = 0
  #held = ''
  #wake: (() => void) | undefined

  get bytes(): number {
    return this.#bytes
  }

  add(text: string): void {
    // Half a character waits for its other half: tokens may be cut anywhere.
    const whole = this.#held + text
    const last = whole.charCodeAt(whole.length - 1)
    const end = last >= 0xd800 && last <= 0xdbff ? whole.length - 1 : whole.length
    this.#held = whole.slice(end)
    if (end === 0) return
    const part = this.#encoder.encode(whole.slice(0, end))
    this.#parts.push(part)
    this.#bytes += part.length
    this.wake()
  }

  /** What there is after this many bytes; empty when there is nothing yet. */
  after(offset: number): Uint8Array {
    const missing: Uint8Array[] = []
    let end = this.#bytes
    // From the newest back: nearly always it is the last few.
    for (let index = this.#parts.length - 1; index >= 0 && end > offset; index--) {
      const part = this.#parts[index] as Uint8Array
      const start = end - part.length
      missing.unshift(start < offset ? part.subarray(offset - start) : part)
      end = start
    }
    return missing.length === 1 ? (missing[0] as Uint8Array) : Buffer.concat(missing)
  }

  /** Resolves at the next addition, or when somebody is woken otherwise. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake
      this.#wake = () => {
        before?.()
        resolve()
      }
    })
  }

  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
