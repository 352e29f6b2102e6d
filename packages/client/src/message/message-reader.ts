import type { MessageStreamEvent } from './message-stream.ts'

/** Beyond this number, the unread events of an iteration are replaced by a gap. */
const maxWaiting = 1_000

/** The unread events of one iteration over a stream of messages. */
export class MessageReader {
  #waiting: MessageStreamEvent[] = []
  #wake: (() => void) | undefined
  #ended = false

  push(event: MessageStreamEvent): void {
    if (this.#waiting.length >= maxWaiting) this.#waiting = [{ type: 'gap', spreadMs: 0 }]
    this.#waiting.push(event)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** Resolves to the next event, or to undefined after `end`. */
  async next(): Promise<MessageStreamEvent | undefined> {
    while (this.#waiting.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#waiting.shift()
  }
}
