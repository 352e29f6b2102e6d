import { type Log, loggable } from '@tidings/chassis'
import { Problem, stillRunning } from '../http/problem.ts'
import { type IdempotencyStore, KeyTaken, type Once, onceOf } from './idempotency-store.ts'

/** A request that may carry an idempotency key. */
export interface Request {
  readonly caller: string
  readonly key: string | undefined
  /** The call, e.g. `POST /notification/send`. */
  readonly call: string
  readonly body: unknown
}

/** How a call is carried out, and its answer made again when the instance that carried it out could not store it. */
export interface Work<Answer> {
  carryOut(once: Once | undefined): Promise<Answer>
  rebuild(firstNotificationId: number): Answer
}

export interface Answered<Answer> {
  readonly answer: Answer
  /** True when this is the first answer again. */
  readonly replayed: boolean
}

const keptMs = 24 * 3_600_000
/** A request without an answer after this long belongs to an instance that died. */
const abandonedMs = 5_000

/** Carries out a request with a key once, and gives repeats of it the first answer again. */
export class Idempotency {
  readonly #store: IdempotencyStore
  readonly #log: Log
  /** Keys of requests that this instance is at. Other instances find theirs in the database. */
  readonly #running = new Set<string>()

  constructor(store: IdempotencyStore, log: Log) {
    this.#store = store
    this.#log = log
  }

  /** @throws Problem `still-running` or `key-reused`, or what `carryOut` throws. */
  async answer<Answer>({ caller, key, call, body }: Request, work: Work<Answer>): Promise<Answered<Answer>> {
    if (key === undefined) return { answer: await work.carryOut(undefined), replayed: false }
    const once = onceOf(caller, key, call, body)
    if (this.#running.has(once.keyHash)) throw stillRunning()
    this.#running.add(once.keyHash)
    try {
      return await this.#first(once, work)
    } catch (error) {
      if (!(error instanceof KeyTaken)) throw error
      return await this.#repeat(once, work)
    } finally {
      this.#running.delete(once.keyHash)
    }
  }

  async #first<Answer>(once: Once, work: Work<Answer>): Promise<Answered<Answer>> {
    const answer = await work.carryOut(once)
    try {
      // Stored before it is given: whoever has it and asks again gets the same.
      await this.#store.answer(once, JSON.stringify(answer))
    } catch (error) {
      // It has been carried out all the same. A repeat rebuilds the answer.
      this.#log.warn({ err: loggable(error) }, 'an answer could not be stored for repeats')
    }
    return { answer, replayed: false }
  }

  async #repeat<Answer>(once: Once, work: Work<Answer>): Promise<Answered<Answer>> {
    const first = await this.#store.find(once)
    if (!first) throw stillRunning()
    if (first.ageMs > keptMs) {
      await this.#store.forget(once, keptMs)
      return this.#first(once, work)
    }
    if (first.requestHash !== once.requestHash) {
      throw new Problem('key-reused', 'This Idempotency-Key came with another request before.', {
        errors: [{ in: 'header', pointer: '#/idempotency-key', detail: 'was used for another request' }],
      })
    }
    if (first.answer !== null) return { answer: JSON.parse(first.answer) as Answer, replayed: true }
    if (first.ageMs < abandonedMs || first.firstNotificationId === null) throw stillRunning()
    return { answer: work.rebuild(first.firstNotificationId), replayed: true }
  }
}
