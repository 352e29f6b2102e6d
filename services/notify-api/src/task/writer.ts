import { setTimeout as delay } from 'node:timers/promises'
import { type Log, loggable } from '@tidings/chassis'
import type { AcceptedTaskEvent, TaskProducerEvent } from '@tidings/protocol'
import { unavailable } from '../http/problem.ts'
import { isTerminal, type TaskName } from './row.ts'
import { isOpen, type TaskStore } from './store.ts'
import type { Accepted, Place, TaskHistory } from './history.ts'
import { noSuchTask, taskLimit, taskOver, textOffset } from './problem.ts'

const closingPatienceMs = 2_000
const closingRetryMs = 20

/** Takes a producer's events. */
export class TaskWriter {
  readonly #store: TaskStore
  readonly #history: TaskHistory
  readonly #log: Log
  readonly #renewals = new Set<Promise<void>>()

  constructor({ store, history, log }: { store: TaskStore; history: TaskHistory; log: Log }) {
    this.#store = store
    this.#history = history
    this.#log = log
  }

  /** @throws Problem `not-found`. */
  async nameOf(taskId: string): Promise<TaskName> {
    const name = await this.#store.name(taskId)
    if (name) return name
    const row = await this.#store.find(taskId)
    throw row?.kind === null ? taskOver(row.status) : noSuchTask()
  }

  /**
   * Appends an event, text at its place.
   *
   * @throws Problem `task-over`, `text-offset`, `task-limit`, or `unavailable`: then it may have been appended.
   */
  async write(name: TaskName, event: TaskProducerEvent, place: Place = {}): Promise<AcceptedTaskEvent> {
    const deadline = performance.now() + closingPatienceMs
    for (;;) {
      const accepted = await this.#history.event(name, event, place)
      if (accepted.outcome === 'ok') {
        if (accepted.renew) this.#renew(name.taskId)
        return { position: accepted.position, textBytes: accepted.textBytes }
      }
      await this.#refuse(name, accepted)
      if (performance.now() > deadline) throw unavailable('The task is being ended: repeat.')
    }
  }

  /** The producer is alive, though it says nothing. Refuses like `write`. */
  async touch(name: TaskName): Promise<AcceptedTaskEvent> {
    return this.write(name, { type: 'progress' })
  }

  async close(): Promise<void> {
    await Promise.all(this.#renewals)
  }

  /** Throws the refusal; returns when the event is worth another attempt. */
  async #refuse(name: TaskName, accepted: Exclude<Accepted, { outcome: 'ok' }>): Promise<void> {
    if (accepted.outcome === 'offset') throw textOffset(accepted.textBytes)
    if (accepted.outcome === 'limit') throw taskLimit(accepted.limit, accepted.textBytes)
    if (accepted.outcome === 'over' && isTerminal(accepted.status)) throw taskOver(accepted.status)
    const row = await this.#store.find(name.taskId)
    if (!row) throw noSuchTask()
    if (!isOpen(row)) {
      // Who wrote the end could not say so in Redis.
      await this.#history.settle(name, row.status)
      throw taskOver(row.status)
    }
    // Redis has lost what it knew; or somebody is just writing the end, which takes some ms or fails.
    if (accepted.outcome === 'unknown') await this.#history.open(name, row.status)
    else await delay(closingRetryMs)
  }

  /** Not awaited: Redis knows it, and MySQL needs it only for when Redis has lost it. */
  #renew(taskId: string): void {
    const renewal = this.#store
      .renew(taskId)
      .catch((error: unknown) => this.#log.warn({ err: loggable(error), taskId }, 'a lease could not be renewed'))
      .finally(() => this.#renewals.delete(renewal))
    this.#renewals.add(renewal)
  }
}
