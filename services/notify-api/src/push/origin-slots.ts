/** The right to make one request to an origin. */
export interface Slot {
  /** Ends the request. `reached`: whether the origin responded, whatever the response was. */
  release(reached: boolean): void
}

/** No slot was free in time. */
export interface NoSlot {
  readonly retryAfterMs: number
}

interface Origin {
  inFlight: number
  /** Requests that it may have at a time, until the first failures. */
  limit: number
  /** Failures since the last response. */
  failures: number
  /** Pauses since the last response. */
  pauses: number
  pausedUntil: number
  readonly waiting: ((slot: Slot) => void)[]
}

/** Requests at a time to an origin that has not responded yet; each response allows one more, up to the bound. */
const firstRequests = 10
/** After so many failures without a response, an origin is paused, and then tried with one request at a time. */
const failuresBeforePause = 5
const firstPauseMs = 5_000
const maxPauseMs = 60_000
/** Longest wait for a slot. */
const maxWaitMs = 1_500
/** Origins that are remembered. Members choose endpoints, so their number has no other bound. */
const maxOrigins = 1_000

/**
 * Bounds the requests under way, in all and to each origin. An origin that does not respond gets few requests and then none for a while, so
 * that it does not take the slots of the others.
 */
export class OriginSlots {
  readonly #maxInAll: number
  readonly #maxPerOrigin: number
  readonly #origins = new Map<string, Origin>()
  /** Those for which a request waits, in the order of their turns. */
  readonly #waiting = new Set<Origin>()
  #inFlight = 0

  constructor({ inAll, perOrigin }: { inAll: number; perOrigin: number }) {
    this.#maxInAll = inAll
    this.#maxPerOrigin = perOrigin
  }

  /** Resolves to a slot, or after a short wait to when to try again. */
  async acquire(name: string): Promise<Slot | NoSlot> {
    const origin = this.#originOf(name)
    const pausedMs = origin.pausedUntil - performance.now()
    if (pausedMs > 0) return { retryAfterMs: pausedMs }
    if (this.#isFree(origin)) return this.#take(origin)
    if (origin.failures >= failuresBeforePause) return { retryAfterMs: firstPauseMs }
    return new Promise((resolve) => {
      const granted = (slot: Slot) => {
        clearTimeout(timer)
        resolve(slot)
      }
      const timer = setTimeout(() => {
        origin.waiting.splice(origin.waiting.indexOf(granted), 1)
        if (origin.waiting.length === 0) this.#waiting.delete(origin)
        resolve({ retryAfterMs: maxWaitMs })
      }, maxWaitMs)
      origin.waiting.push(granted)
      this.#waiting.add(origin)
    })
  }

  #originOf(name: string): Origin {
    const known = this.#origins.get(name)
    if (known) return known
    const origin: Origin = {
      inFlight: 0,
      limit: Math.min(firstRequests, this.#maxPerOrigin),
      failures: 0,
      pauses: 0,
      pausedUntil: 0,
      waiting: [],
    }
    this.#origins.set(name, origin)
    if (this.#origins.size > maxOrigins) this.#forgetIdle()
    return origin
  }

  /** Forgets the origin that is known longest, of those that have no requests. */
  #forgetIdle(): void {
    for (const [name, { inFlight, waiting }] of this.#origins) {
      if (inFlight > 0 || waiting.length > 0) continue
      this.#origins.delete(name)
      return
    }
  }

  #isFree({ inFlight, limit, failures, pausedUntil }: Origin): boolean {
    if (this.#inFlight >= this.#maxInAll || performance.now() < pausedUntil) return false
    return inFlight < (failures >= failuresBeforePause ? 1 : limit)
  }

  #take(origin: Origin): Slot {
    origin.inFlight++
    this.#inFlight++
    return {
      release: (reached) => {
        origin.inFlight--
        this.#inFlight--
        if (reached) {
          origin.failures = 0
          origin.pauses = 0
          origin.limit = Math.min(origin.limit + 1, this.#maxPerOrigin)
        } else this.#failed(origin)
        this.#grant()
      },
    }
  }

  #failed(origin: Origin): void {
    origin.failures++
    const now = performance.now()
    // Requests that were under way together are one reason to pause.
    if (origin.failures < failuresBeforePause || now < origin.pausedUntil) return
    origin.limit = Math.min(firstRequests, this.#maxPerOrigin)
    origin.pausedUntil = now + Math.min(firstPauseMs * 2 ** origin.pauses, maxPauseMs)
    origin.pauses++
  }

  /** Gives free slots to requests that wait, one origin after another. */
  #grant(): void {
    for (const origin of this.#waiting) {
      if (!this.#isFree(origin)) continue
      this.#waiting.delete(origin)
      origin.waiting.shift()?.(this.#take(origin))
      // At the end of the line: the loop comes to it again, when slots are left.
      if (origin.waiting.length > 0) this.#waiting.add(origin)
    }
  }
}
