import { type Position, parsePosition } from '@tidings/protocol/position'

/** Of tasks long over, the oldest are forgotten. */
const maxDestinations = 200

/** How far each destination was read: from where to resume, and what is a repeat. */
export class Places {
  readonly #lastMessageIds = new Map<string, string>()

  lastMessageId(destination: string): string | undefined {
    return this.#lastMessageIds.get(destination)
  }

  entries(): [destination: string, lastMessageId: string][] {
    return [...this.#lastMessageIds]
  }

  /** False when this message, or a later one of the same history, was here before. */
  take(destination: string, messageId: string): boolean {
    const position = parsePosition(messageId)
    if (!position) return true
    // Without a position of its own it follows one (PROTOCOL.md §5, MESSAGE): it can be no repeat by position, and is no step either.
    if (messageId.includes('.')) return true
    if (!this.#isLater(destination, messageId)) return false
    this.set(destination, messageId)
    return true
  }

  /** False when publications are missing between the last message and this one. */
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

  /** Where the channel stands; true when that is further than what was read. */
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

  /** A history of another epoch replaces the one before, whichever number is greater: clocks differ. */
  #isLater(destination: string, messageId: string): boolean {
    const [last, next] = this.#positions(destination, messageId)
    return next !== undefined && (last === undefined || last.epoch !== next.epoch || next.offset > last.offset)
  }

  #positions(destination: string, messageId: string): [last: Position | undefined, next: Position | undefined] {
    const last = this.#lastMessageIds.get(destination)
    return [last === undefined ? undefined : parsePosition(last), parsePosition(messageId)]
  }
}
