/** Which notifications the application was given: the latest of them, so that a repeat is known for one. */
export class Seen {
  readonly #max: number
  readonly #ids = new Set<number>()

  constructor(max = 2_000) {
    this.#max = max
  }

  /** The one that was given first, of those that are remembered. */
  get first(): number | undefined {
    const [first] = this.#ids
    return first
  }

  /** True the first time. */
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
