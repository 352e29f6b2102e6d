import { type Position, parsePosition } from '@tidings/protocol/position'

/** Beyond this, the destination that was added first is forgotten: a task that ended long ago. */
const maxDestinations = 200

/** The last message id of each destination: where to resume, and which messages are repeats. */
export class ResumePoints {
  readonly #lastMessageIds = new Map<string, string>()

  lastMessageId(destination: string): string | undefined {
    return this.#lastMessageIds.get(destination)
  }

  entries(): [destination: string, lastMessageId: string][] {
    return [...this.#lastMessageIds]
  }

  /** Moves to this message. Returns false for a repeat: this message, or a later one of the same history, was accepted before. */
  accept(destination: string, messageId: string): boolean {
    const position = parsePosition(messageId)
    if (!position) return true
    // `<position>.<n>` has no position of its own (PROTOCOL.md §5, MESSAGE): it is never a repeat, and does not move the resume point.
    if (messageId.includes('.')) return true
    if (!this.#isLater(destination, messageId)) return false
    this.set(destination, messageId)
    return true
  }

  /** Returns false when publications are missing between the last message and this one. */
  isNext(destination: string, messageId: string): boolean {
    const [last, next] = this.#positions(destination, messageId)
    return !last || !next || last.epoch !== next.epoch || next.offset <= last.offset + 1
  }

  set(destination: string, messageId: string): void {
    this.#lastMessageIds.set(destination, messageId)
    if (this.#lastMessageIds.size <= maxDestinations) return
    const [oldest] = this.#lastMessageIds.keys()
    if (oldest !== undefined) this.#lastMessageIds.delete(oldest)
  }

  /** Moves to the channel's position when that is later. Returns whether it was. */
  advance(destination: string, position: string): boolean {
    const later = this.#isLater(destination, position)
    if (later) this.set(destination, position)
    return later
  }

  forget(destination: string): void {
    this.#lastMessageIds.delete(destination)
  }

  clear(): void {
    this.#lastMessageIds.clear()
  }

  /** A history of another epoch replaces the one before, even if its number is lower: epochs come from clocks, and clocks differ. */
  #isLater(destination: string, messageId: string): boolean {
    const [last, next] = this.#positions(destination, messageId)
    return next !== undefined && (last === undefined || last.epoch !== next.epoch || next.offset > last.offset)
  }

  #positions(destination: string, messageId: string): [last: Position | undefined, next: Position | undefined] {
    const last = this.#lastMessageIds.get(destination)
    return [last === undefined ? undefined : parsePosition(last), parsePosition(messageId)]
  }
}
