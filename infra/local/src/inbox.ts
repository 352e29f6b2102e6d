/** A queue that loses nothing: items wait for readers, and readers wait for items, each in order of arrival. */
export class Inbox<T> {
  readonly #items: T[] = []
  readonly #readers: { resolve: (item: T) => void; reject: (error: Error) => void }[] = []
  #ended: string | undefined

  /** Number of items that no reader has taken yet. */
  get waiting(): number {
    return this.#items.length
  }

  push(item: T): void {
    const reader = this.#readers.shift()
    if (reader) reader.resolve(item)
    else this.#items.push(item)
  }

  /** Rejects all waiting readers with the reason. Items pushed before can still be read. */
  end(reason: string): void {
    this.#ended = reason
    for (const reader of this.#readers.splice(0)) reader.reject(new Error(reason))
  }

  /** Resolves to the next item. Rejects after the deadline, or when there is none and the inbox has ended. */
  next(deadlineMs: number, what: string): Promise<T> {
    const item = this.#items.shift()
    if (item !== undefined) return Promise.resolve(item)
    if (this.#ended !== undefined) return Promise.reject(new Error(`no ${what}: ${this.#ended}`))
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        clearTimeout(timer)
        end()
      }
      const reader = {
        resolve: (arrived: T) => settle(() => resolve(arrived)),
        reject: (error: Error) => settle(() => reject(new Error(`no ${what}: ${error.message}`))),
      }
      const timer = setTimeout(() => {
        this.#readers.splice(this.#readers.indexOf(reader), 1)
        reject(new Error(`no ${what} within ${deadlineMs} ms`))
      }, deadlineMs)
      this.#readers.push(reader)
    })
  }
}
