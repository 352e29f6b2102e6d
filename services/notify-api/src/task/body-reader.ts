import type { Readable } from 'node:stream'

const brokenOff = 'the upload broke off'

/**
 * Reads the body of a request on demand: bytes that are not read stay with the sender. Unlike an async iterator, a read can time out or
 * be stopped without destroying the connection, which the response still needs.
 */
export class BodyReader {
  readonly #body: Readable
  #ended = false
  #error: Error | undefined
  #stopReason: Error | undefined
  #wake: (() => void) | undefined

  constructor(body: Readable) {
    this.#body = body
    if (body.destroyed) this.#error = new Error(brokenOff)
    body.on('readable', this.#onReadable)
    body.on('end', () => {
      this.#ended = true
      this.#wake?.()
    })
    body.on('error', (error) => this.#fail(error))
    body.on('close', () => this.#fail(new Error(brokenOff)))
  }

  /**
   * Resolves to the bytes received since the last read, to undefined at the end of the body, or to `late` when none arrive within
   * `waitMs`. Rejects when the body broke off or the reader was stopped.
   */
  async read(waitMs?: number): Promise<Buffer | 'late' | undefined> {
    const deadline = waitMs === undefined ? undefined : performance.now() + waitMs
    for (;;) {
      if (this.#stopReason) throw this.#stopReason
      const chunk = this.#body.read() as Buffer | null
      if (chunk) return chunk
      if (this.#ended) return undefined
      if (this.#error) throw this.#error
      if (deadline !== undefined && performance.now() >= deadline) return 'late'
      await this.#untilWoken(deadline)
    }
  }

  /** Makes the current read and all later ones reject with `reason`, even when bytes have been received. */
  stop(reason: Error): void {
    this.#stopReason ??= reason
    this.#wake?.()
  }

  /** Discards the rest of the body. */
  discard(): void {
    this.#body.off('readable', this.#onReadable)
    this.#body.resume()
  }

  #fail(error: Error): void {
    this.#error ??= error
    this.#wake?.()
  }

  readonly #onReadable = (): void => this.#wake?.()

  #untilWoken(deadline: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = deadline === undefined ? undefined : setTimeout(resolve, Math.ceil(deadline - performance.now()))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
