import type { Metrics } from '../ops/metrics.ts'

/** What has bytes to write at the end of the tick. */
interface Flushable {
  /** Writes what waits; answers how many bytes. */
  flush(now: number): number
}

/** Collects the transports that were sent something in this tick and flushes each once, so that a burst is one write a socket. */
export class WriteBatch {
  readonly #metrics: Metrics
  #waiting: Flushable[] = []
  #startedAt = 0

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  add(transport: Flushable): void {
    // Redis hands over all publications of one read in one tick; nextTick runs right after them, before any other I/O.
    if (this.#waiting.push(transport) > 1) return
    this.#startedAt = performance.now()
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    const now = performance.now()
    let bytes = 0
    for (const transport of waiting) bytes += transport.flush(now)
    this.#metrics.flushed(bytes, (performance.now() - this.#startedAt) / 1_000)
  }
}
