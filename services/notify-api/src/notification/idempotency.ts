import { FailureLog, type Log } from '@tidings/chassis'
import { Problem, stillRunning } from '../http/problem.ts'
import type { IdempotencyKey } from './idempotency-key.ts'
import type { IdempotencyStore } from './idempotency-store.ts'

/** The result of the first request with a key: its response, or what the response can be rebuilt from when it was not stored. */
export type FirstResult = { readonly response: unknown } | { readonly firstNotificationId: number; readonly idStep: number }

const keptMs = 24 * 3_600_000
/** A request that has stored no response by then belonged to an instance that died. */
const abandonedMs = 5_000

/**
 * Makes requests with an idempotency key take effect once. A request calls `begin`, then writes its key in the transaction of its
 * notifications, then calls `keep`, and `end` in any case. When the key exists already, `firstResult` takes the place of `keep`.
 */
export class Idempotency {
  readonly #store: IdempotencyStore
  readonly #failures: FailureLog
  /** Keys of the requests that run on this instance. Those of other instances are in the database. */
  readonly #running = new Set<string>()

  constructor(store: IdempotencyStore, log: Log) {
    this.#store = store
    this.#failures = new FailureLog(log, 'warn')
  }

  /** @throws Problem `still-running` when a request with this key runs on this instance. */
  begin({ keyHash }: IdempotencyKey): void {
    if (this.#running.has(keyHash)) throw stillRunning()
    this.#running.add(keyHash)
  }

  /** Stores the response before it is sent, so that a client that has received it receives the same again. Never rejects. */
  async keep(key: IdempotencyKey, response: unknown): Promise<void> {
    try {
      await this.#store.storeResponse(key, JSON.stringify(response))
    } catch (error) {
      // The request has still taken effect. A repeat rebuilds the response.
      this.#failures.failed('a response could not be stored for repeats', error)
    }
  }

  /**
   * Returns the result of the first request with this key; undefined when it is older than 24 hours: then the key is free again.
   *
   * @throws Problem `still-running`, or `key-reused` when the first request was another one.
   */
  async firstResult(key: IdempotencyKey): Promise<FirstResult | undefined> {
    const first = await this.#store.find(key)
    if (!first) throw stillRunning()
    const { requestHash, firstNotificationId, idStep, response, ageMs } = first
    if (ageMs > keptMs) {
      await this.#store.forget(key, keptMs)
      return undefined
    }
    if (requestHash !== key.requestHash) {
      throw new Problem('key-reused', 'This Idempotency-Key was used for another request.', {
        errors: [{ in: 'header', pointer: '#/idempotency-key', detail: 'was used for another request' }],
      })
    }
    if (response !== null) return { response: JSON.parse(response) as unknown }
    if (ageMs < abandonedMs || firstNotificationId === null) throw stillRunning()
    return { firstNotificationId, idStep }
  }

  end({ keyHash }: IdempotencyKey): void {
    this.#running.delete(keyHash)
  }
}
