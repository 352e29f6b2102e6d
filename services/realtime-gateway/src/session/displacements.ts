import type { MemberId } from '@tidings/protocol'

/** So many displacements of one member within `windowMs` are allowed. */
export const maxDisplacements = 2
const windowMs = 60_000

/**
 * Recent displacements by member. A client that ignores close codes reconnects after 4409 and displaces the next session, whose client
 * reconnects in turn. Times are ms of any one clock.
 */
export class Displacements {
  /** Times of the last `maxDisplacements`, oldest first. Members are in the order of their last displacement. */
  readonly #times = new Map<MemberId, readonly number[]>()

  /** Number of members that are remembered. */
  get size(): number {
    return this.#times.size
  }

  record(memberId: MemberId, now: number): void {
    const earlier = this.#times.get(memberId) ?? []
    this.#times.delete(memberId)
    this.#times.set(memberId, [...earlier, now].slice(-maxDisplacements))
  }

  /** Returns after how many ms a session of the member may be displaced again; 0 means at once. */
  retryAfterMs(memberId: MemberId, now: number): number {
    const times = this.#times.get(memberId)
    const [oldest] = times ?? []
    if (times?.length !== maxDisplacements || oldest === undefined) return 0
    return Math.max(0, oldest + windowMs - now)
  }

  /** Forgets the members whose last displacement is too long ago to count. */
  sweep(now: number): void {
    for (const [memberId, times] of this.#times) {
      if (now - (times.at(-1) ?? 0) < windowMs) break
      this.#times.delete(memberId)
    }
  }
}
