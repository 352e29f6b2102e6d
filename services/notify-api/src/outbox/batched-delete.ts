import { type Log, loggable } from '@tidings/chassis'

const intervalMs = 50
const intervalAfterFailureMs = 1_000
const maxBatch = 500
/** Past this the oldest are forgotten: their rows are published once more, by the sweep, rather than held in memory without end. */
const maxHeld = 100_000

/** Deletes rows in batches, soon. A batch that fails is tried again. */
export class BatchedDelete {
  readonly #delete: (ids: readonly number[]) => Promise<void>
  readonly #log: Log
  readonly #held = new Set<number>()
  #failing = false
  #timer: NodeJS.Timeout | undefined
  #deleting: Promise<void> | undefined

  constructor(deleteRows: (ids: readonly number[]) => Promise<void>, log: Log) {
    this.#delete = deleteRows
    this.#log = log
  }

  add(id: number): void {
    this.#held.add(id)
    if (this.#held.size > maxHeld) this.#held.delete(this.#held.values().next().value as number)
    this.#timer ??= setTimeout(() => this.#start(), intervalMs)
  }

  has(id: number): boolean {
    return this.#held.has(id)
  }

  /** Deletes what is left, if the database lets it. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#deleting
    await this.#deleteAll()
  }

  #start(): void {
    this.#deleting = this.#deleteAll().finally(() => {
      const delayMs = this.#failing ? intervalAfterFailureMs : intervalMs
      this.#timer = this.#held.size > 0 ? setTimeout(() => this.#start(), delayMs) : undefined
    })
  }

  async #deleteAll(): Promise<void> {
    try {
      // What comes meanwhile waits for the next time: else, under load, each commit would have a deletion of its own.
      const held = [...this.#held]
      for (let start = 0; start < held.length; start += maxBatch) {
        const ids = held.slice(start, start + maxBatch)
        await this.#delete(ids)
        for (const id of ids) this.#held.delete(id)
      }
      this.#failing = false
    } catch (error) {
      if (!this.#failing) this.#log.warn({ err: loggable(error) }, 'published rows cannot be deleted yet')
      this.#failing = true
    }
  }
}
