import { type Log, RepeatedFailure } from '@tidings/chassis'

/** Each deletion is a commit of its own. After a crash, the rows of this time at most are published a second time. */
const intervalMs = 1_000
/** Rows of one statement. So many are deleted before the interval ends. */
const maxBatch = 500
/** Beyond this the oldest ids are dropped, to bound memory: the sweep publishes their rows a second time. */
const maxHeld = 100_000

/** Deletes published rows in batches, about a second after they are added. A batch that fails is retried. */
export class BatchedDelete {
  readonly #delete: (ids: readonly number[]) => Promise<void>
  readonly #failure: RepeatedFailure
  readonly #held = new Set<number>()
  #timer: NodeJS.Timeout | undefined
  #deleting: Promise<void> | undefined

  constructor(deleteRows: (ids: readonly number[]) => Promise<void>, log: Log) {
    this.#delete = deleteRows
    this.#failure = new RepeatedFailure(log, 'published rows cannot be deleted yet')
  }

  add(id: number): void {
    this.#held.add(id)
    if (this.#held.size > maxHeld) this.#held.delete(this.#held.values().next().value as number)
    if (this.#deleting) return
    this.#timer ??= setTimeout(() => this.#start(), intervalMs)
    if (this.#held.size >= maxBatch && !this.#failure.failing) this.#start()
  }

  /** True from `add` until the row is deleted. */
  has(id: number): boolean {
    return this.#held.has(id)
  }

  /** Makes a last attempt to delete the remaining rows. Never rejects. */
  async close(): Promise<void> {
    await this.#deleting
    clearTimeout(this.#timer)
    await this.#deleteHeld()
  }

  #start(): void {
    clearTimeout(this.#timer)
    this.#deleting = this.#deleteHeld().finally(() => {
      this.#deleting = undefined
      this.#timer = this.#held.size > 0 ? setTimeout(() => this.#start(), intervalMs) : undefined
    })
  }

  async #deleteHeld(): Promise<void> {
    try {
      // Ids added from now on wait for the next batch: under load each commit would otherwise cause a DELETE of its own.
      const held = [...this.#held]
      for (let start = 0; start < held.length; start += maxBatch) {
        const ids = held.slice(start, start + maxBatch)
        await this.#delete(ids)
        for (const id of ids) this.#held.delete(id)
      }
      this.#failure.succeeded()
    } catch (error) {
      this.#failure.failed(error)
    }
  }
}
