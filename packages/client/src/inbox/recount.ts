/** An arrival and a count closer together than this may have crossed on their channels. */
const crossingMs = 5_000
const quietMs = 500
/** Recounts are at least this far apart. */
const spacingMs = 5_000

/**
 * When the unread count has to be asked for again. A notification adds one, a change of read state brings the whole count: when both
 * happen close together nobody can tell whether the one is in the other.
 */
export class Recount {
  readonly #work: () => void
  readonly #now: () => number
  #timer: ReturnType<typeof setTimeout> | undefined
  #arrivedAt = Number.NEGATIVE_INFINITY
  #countedAt = Number.NEGATIVE_INFINITY
  #recountedAt = Number.NEGATIVE_INFINITY

  constructor(work: () => void, now: () => number = () => performance.now()) {
    this.#work = work
    this.#now = now
  }

  arrived(): void {
    this.#arrivedAt = this.#now()
    this.#check(this.#countedAt)
  }

  /** A count came by itself. */
  counted(): void {
    this.#countedAt = this.#now()
    this.#check(this.#arrivedAt)
  }

  /** A count was asked for at `askedAt`: what had arrived by then is in it. */
  recounted(askedAt: number): void {
    this.#countedAt = this.#now()
    if (this.#arrivedAt >= askedAt) this.#schedule()
  }

  /** Another tab has counted, and counts again what crossed with that. */
  countedElsewhere(): void {
    this.stop()
    this.#countedAt = this.#now()
  }

  /** Not yet: when the next one may be. */
  putOff(): void {
    this.#schedule()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #check(other: number): void {
    if (this.#now() - other < crossingMs) this.#schedule()
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const delayMs = Math.max(quietMs, this.#recountedAt + spacingMs - this.#now())
    this.#timer = setTimeout(() => {
      this.#recountedAt = this.#now()
      this.#work()
    }, delayMs)
  }
}
