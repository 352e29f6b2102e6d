/** Most bytes that wait for the reader of stdout. Further lines are dropped. */
const maxUnreadBytes = 1_048_576
/** Longest wait of `flush` for the reader. */
const flushMs = 1_000

/**
 * Destination of the log: stdout, which is often a pipe to another process. A reader that stands still or has gone costs log lines,
 * and never blocks or fails this process. The lines of one turn of the event loop are written together.
 */
export class LogOutput {
  readonly #droppedLine: (lines: number) => string
  #dropped = 0
  #gone = false
  #corked = false

  /** `droppedLine` returns the line that is written when the reader goes on after so many lines were dropped. */
  constructor(droppedLine: (lines: number) => string) {
    this.#droppedLine = droppedLine
    process.stdout.on('error', () => (this.#gone = true))
  }

  write(line: string): void {
    if (this.#gone) return
    if (process.stdout.writableLength > maxUnreadBytes) {
      this.#dropped++
      return
    }
    if (!this.#corked) {
      this.#corked = true
      process.stdout.cork()
      setImmediate(() => {
        this.#corked = false
        process.stdout.uncork()
      })
    }
    if (this.#dropped > 0) process.stdout.write(this.#droppedLine(this.#dropped))
    this.#dropped = 0
    process.stdout.write(line)
  }

  /** Calls back when all lines are written, when the reader has gone, or after a second. */
  flush(done: () => void): void {
    const timer = setTimeout(done, flushMs)
    // Written after all lines before it. Of a reader that has gone it reports an error.
    process.stdout.write('', () => {
      clearTimeout(timer)
      done()
    })
  }
}
