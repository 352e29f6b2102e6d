import type { Readable } from 'node:stream'

/**
 * Reads a request's body as it comes, and only when asked: what is not asked for stays with the sender. Unlike an async iterator it
 * can give up waiting, and be stopped, without losing the connection, over which the answer still has to go.
 */
export class BodyReader {
  readonly #body: Readable
  #ended = false
  #broken: Error | undefined
  #stopped: Error | undefined
  #wake: (() => void) | undefined

  constructor(body: Readable) {
    this.#body = body
    if (body.destroyed) this.#broken = new Error('the upload broke off')
    body.on('readable', this.#onReadable)
    body.on('end', () => {
      this.#ended = true
      this.#wake?.()
    })
    body.on('error', (error) => this.#breakOff(error))
    body.on('close', () => this.#breakOff(new Error('the upload broke off')))
  }

  /** What has come since; undefined at the end; `late` when nothing did for `waitMs`. Rejects when the body broke off or was stopped. */
  async read(waitMs?: number): Promise<Buffer | 'late' | undefined> {
    const deadline = waitMs === undefined ? undefined : performance.now() + waitMs
    for (;;) {
      if (this.#stopped) throw this.#stopped
      const chunk = this.#body.read() as Buffer | null
      if (chunk) return chunk
      if (this.#ended) return undefined
      if (this.#broken) throw this.#broken
      if (deadline !== undefined && performance.now() >= deadline) return 'late'
      await this.#awake(deadline)
    }
  }

  /** From now on `read` rejects with this, whatever has come. */
  stop(reason: Error): void {
    this.#stopped ??= reason
    this.#wake?.()
  }

  /** Lets what still comes pass by unread. */
  discard(): void {
    this.#body.off('readable', this.#onReadable)
    this.#body.resume()
  }

  #breakOff(error: Error): void {
    this.#broken ??= error
    this.#wake?.()
  }

  readonly #onReadable = (): void => this.#wake?.()

  #awake(deadline: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = deadline === undefined ? undefined : setTimeout(resolve, deadline - performance.now())
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
