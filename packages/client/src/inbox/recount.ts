/** An arrival and a count within this time of each other may have overtaken one another: they come on different channels. */
const overtakeMs = 5_000
/** A recount waits until nothing has happened for this long. */
const quietMs = 500
/** Shortest time between two recounts. */
const minSpacingMs = 5_000

/**
 * Decides when the unread count has to be read again. An arrival adds one, and a change of read state brings the whole count. When both
 * happen close together, it is unknown whether the count includes the arrival.
 */
export class Recount {
  readonly #work: () => void
  readonly #now: () => number
  #timer: ReturnType<typeof setTimeout> | undefined
  #arrivedAt = Number.NEGATIVE_INFINITY
  #countedAt = Number.NEGATIVE_INFINITY
  #recountedAt = Number.NEGATIVE_INFINITY

  /** `work` reads the count. */
  constructor(work: () => void, now: () => number = () => performance.now()) {
    this.#work = work
    this.#now = now
  }

  arrived(): void {
    this.#arrivedAt = this.#now()
    this.#scheduleIfClose(this.#countedAt)
  }

  /** A count came with a message or a response. */
  counted(): void {
    this.#countedAt = this.#now()
    this.#scheduleIfClose(this.#arrivedAt)
  }

  /** The count was read by a request that started at `startedAt`: it includes what had arrived by then. */
  recounted(startedAt: number): void {
    this.#countedAt = this.#now()
    if (this.#arrivedAt >= startedAt) this.#schedule()
  }

  /** The leading tab has read the count, and reads it again if that is needed. */
  countedElsewhere(): void {
    this.stop()
    this.#countedAt = this.#now()
  }

  /** Delays a recount that is due until the next one may take place. */
  postpone(): void {
    this.#schedule()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #scheduleIfClose(otherAt: number): void {
    if (this.#now() - otherAt < overtakeMs) this.#schedule()
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const delayMs = Math.max(quietMs, this.#recountedAt + minSpacingMs - this.#now())
    this.#timer = setTimeout(() => {
      this.#recountedAt = this.#now()
      this.#work()
    }, delayMs)
  }
}
