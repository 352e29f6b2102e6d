/** Longest time for which a verified token is cached. A withdrawn key is refused after at most this time. */
const ttlMs = 10_000

/** The most recently verified tokens with their results. A caller that sends the same token with each request is verified once. */
export class RecentTokens<Result> {
  readonly #size: number
  /** Oldest first. */
  readonly #entries = new Map<string, { readonly result: Result; readonly addedAt: number }>()

  /** `size`: number of tokens; 0 caches none. */
  constructor(size: number) {
    this.#size = size
  }

  get(token: string): Result | undefined {
    const entry = this.#entries.get(token)
    return entry && performance.now() - entry.addedAt < ttlMs ? entry.result : undefined
  }

  add(token: string, result: Result): void {
    if (this.#size === 0) return
    this.#entries.delete(token)
    // A copy: a token is a slice of its header, and would retain all of it.
    this.#entries.set(Buffer.from(token, 'latin1').toString('latin1'), { result, addedAt: performance.now() })
    if (this.#entries.size <= this.#size) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}
