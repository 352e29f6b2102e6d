import { type Log, RepeatedFailure } from '@tidings/chassis'

const intervalMs = 50
const intervalAfterFailureMs = 1_000
const maxBatch = 500
/** Beyond this the oldest ids are dropped, to bound memory: the sweep publishes their rows a second time. */
const maxHeld = 100_000

/** Deletes published rows in batches, shortly after they are added. A batch that fails is retried. */
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
    this.#timer ??= setTimeout(() => this.#start(), intervalMs)
  }

  /** True from `add` until the row is deleted. */
  has(id: number): boolean {
    return this.#held.has(id)
  }

  /** Makes a last attempt to delete the remaining rows. Never rejects. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#deleting
    await this.#deleteHeld()
  }

  #start(): void {
    this.#deleting = this.#deleteHeld().finally(() => {
      const delayMs = this.#failure.failing ? intervalAfterFailureMs : intervalMs
      this.#timer = this.#held.size > 0 ? setTimeout(() => this.#start(), delayMs) : undefined
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
