import { type Log, Recurring } from '@tidings/chassis'
import { maxIdsPerReadMessage } from '@tidings/protocol'
import type { Lease } from '../database/lease.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { OutboxRow } from '../outbox/row.ts'
import type { Retired, RetentionStore } from './store.ts'

export interface RetentionOptions {
  readonly store: RetentionStore
  readonly lease: Lease
  readonly outbox: Pick<Outbox, 'publish'>
  readonly days: number
  readonly intervalMs: number
  readonly log: Log
  readonly onPass: (retired: Retired) => void
}

/** What a batch removes of one member fits into one ReadMessage. */
const batchRows = maxIdsPerReadMessage
const maxBatches = 100

/** Deletes expired rows periodically: one instance at a time, a bounded number of rows per pass. */
export class Retention {
  readonly #options: RetentionOptions
  readonly #passes: Recurring

  constructor(options: RetentionOptions) {
    const { intervalMs, log } = options
    this.#options = options
    this.#passes = new Recurring({ intervalMs, run: (closing) => this.#retire(closing), log, failure: 'retention failed' })
  }

  close(): Promise<void> {
    return this.#passes.close()
  }

  async #retire(closing: AbortSignal): Promise<void> {
    const { store, lease, outbox, days, log, onPass } = this.#options
    const publish = (event: OutboxRow) => outbox.publish([event])
    if (!(await lease.hold())) return
    const mayContinue = async () => !closing.aborted && (await lease.hold())
    const { retired, failure } = await store.retire({ days, batchRows, maxBatches, mayContinue, publish })
    onPass(retired)
    if (Object.values(retired).some((rows) => rows > 0)) log.info({ retired }, 'old rows deleted')
    if (failure !== undefined) throw new Error('notifications of some members cannot be removed yet', { cause: failure })
  }
}
