const defaultMax = 2_000

/** Ids of the notifications that were announced to the application, so that a repeat is recognized. Keeps the latest 2,000. */
export class AnnouncedIds {
  readonly #max: number
  readonly #ids = new Set<number>()

  constructor(max = defaultMax) {
    this.#max = max
  }

  /** The id that was announced first, of those kept. */
  get first(): number | undefined {
    const [first] = this.#ids
    return first
  }

  /** Returns false when the id is there already. */
  add(notificationId: number): boolean {
    if (this.#ids.has(notificationId)) return false
    this.#ids.add(notificationId)
    if (this.#ids.size > this.#max && this.first !== undefined) this.#ids.delete(this.first)
    return true
  }

  clear(): void {
    this.#ids.clear()
  }
}
