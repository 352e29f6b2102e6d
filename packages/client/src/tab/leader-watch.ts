/** A page that stands still counts no ticks, so its own delay is not taken for that of the leading tab. */
const tickMs = 500
/** Ticks without a word from the leading tab after which it is asked, after which it is doubted, and after which it is replaced. */
const [askTicks, doubtTicks, replaceTicks] = [3, 5, 8]

export interface LeaderWatchListener {
  /** Whether the watch counts: a hidden tab leaves it to the visible ones. */
  watching(): boolean
  /** Asks the leading tab for a reply. */
  ask(): void
  /** The leading tab does not reply, or replies again. */
  doubt(doubted: boolean): void
  /** The leading tab has not replied for so long that another one has to lead. */
  replace(): void
}

/**
 * Notices a leading tab that stands still: behind a dialog or a debugger, in a long task, or frozen by the browser. It keeps its lock, but
 * passes nothing on.
 */
export class LeaderWatch {
  readonly #listener: LeaderWatchListener
  #timer: ReturnType<typeof setInterval> | undefined
  #silentTicks = 0
  #doubted = false

  constructor(listener: LeaderWatchListener) {
    this.#listener = listener
  }

  /** The tab follows from now on. */
  start(): void {
    this.#silentTicks = askTicks
    this.#doubted = false
    this.#timer ??= setInterval(() => this.#tick(), tickMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Asks now, and doubts at the next tick. */
  check(): void {
    if (!this.#timer || !this.#listener.watching() || this.#silentTicks >= doubtTicks) return
    this.#silentTicks = doubtTicks - 1
    this.#listener.ask()
  }

  /** Something came from the leading tab. */
  heard(): void {
    this.#silentTicks = 0
    this.#setDoubted(false)
  }

  #tick(): void {
    if (!this.#listener.watching()) return
    this.#silentTicks += 1
    if (this.#silentTicks < askTicks) return
    this.#listener.ask()
    if (this.#silentTicks >= doubtTicks) this.#setDoubted(true)
    if (this.#silentTicks % replaceTicks === 0) this.#listener.replace()
  }

  #setDoubted(doubted: boolean): void {
    if (this.#doubted === doubted) return
    this.#doubted = doubted
    this.#listener.doubt(doubted)
  }
}
