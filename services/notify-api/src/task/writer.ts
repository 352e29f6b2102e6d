import { setTimeout as delay } from 'node:timers/promises'
import { FailureLog, type Log } from '@tidings/chassis'
import type { AcceptedTaskEvent, TaskChange, TaskProducerEvent } from '@tidings/protocol'
import { unavailable } from '../http/problem.ts'
import { type AppendAt, type AppendResult, redisRenewalMs, type TaskHistory } from './history.ts'
import { noSuchTask, taskLimit, taskOver, textOffset } from './problem.ts'
import { identityOf, isOpen, isTerminal, type TaskIdentity } from './row.ts'
import type { TaskStore } from './store.ts'

/** How long an event is retried while the end of its task is being stored. */
const closingTimeoutMs = 2_000
const closingRetryMs = 20
const maxCachedIdentities = 10_000

/** An event renews the lease in MySQL when the last renewal is older than the lease divided by this. */
const databaseRenewalsPerLease = 3

/** `performance.now()` of the last renewals of a lease. */
interface RenewedAt {
  readonly redisMs: number
  readonly databaseMs: number
}

const neverRenewed: RenewedAt = { redisMs: Number.NEGATIVE_INFINITY, databaseMs: Number.NEGATIVE_INFINITY }

export interface TaskWriterOptions {
  readonly store: TaskStore
  readonly history: TaskHistory
  readonly leaseMs: number
  readonly log: Log
}

/** Appends the events of producers. */
export class TaskWriter {
  readonly #store: TaskStore
  readonly #history: TaskHistory
  readonly #failures: FailureLog
  /** Saves a query per event. An identity never changes. */
  readonly #identities = new Map<string, TaskIdentity>()
  readonly #leaseMs: number
  /** When this instance last renewed the lease of a task. */
  readonly #renewed = new WeakMap<TaskIdentity, RenewedAt>()
  readonly #renewals = new Set<Promise<void>>()

  constructor({ store, history, leaseMs, log }: TaskWriterOptions) {
    this.#leaseMs = leaseMs
    this.#store = store
    this.#history = history
    this.#failures = new FailureLog(log, 'warn')
  }

  /**
   * Appends an event, text at the given offset.
   *
   * @throws Problem `not-found`, `task-over`, `text-offset`, `task-limit`, or `unavailable`, after which it may have been appended.
   */
  async writeById(taskId: string, event: TaskProducerEvent, at?: AppendAt): Promise<AcceptedTaskEvent> {
    return this.write(this.#identities.get(taskId) ?? (await this.identify(taskId)), changeOf(event), at)
  }

  /** @throws Problem `not-found`, or `task-over` when the member cancelled the task before it was created. */
  async identify(taskId: string): Promise<TaskIdentity> {
    const cached = this.#identities.get(taskId)
    if (cached) return cached
    const row = await this.#store.find(taskId)
    if (!row) throw noSuchTask()
    if (row.kind === null) throw taskOver(row.status)
    const task = identityOf(row)
    this.#identities.set(taskId, task)
    if (this.#identities.size > maxCachedIdentities) this.#identities.delete(this.#identities.keys().next().value as string)
    return task
  }

  /** Like {@link writeById}, for a caller that has the task's identity. */
  async write(task: TaskIdentity, event: TaskChange, at: AppendAt = {}): Promise<AcceptedTaskEvent> {
    const now = performance.now()
    const deadline = now + closingTimeoutMs
    const { redisMs, databaseMs } = this.#renewed.get(task) ?? neverRenewed
    const renew = now - redisMs > redisRenewalMs(this.#leaseMs)
    for (;;) {
      const result = await this.#history.append(task, event, { ...at, renew })
      if (result.outcome === 'ok') {
        if (renew) {
          const renewInDatabase = now - databaseMs > this.#leaseMs / databaseRenewalsPerLease
          if (renewInDatabase) this.#renewInDatabase(task.taskId)
          this.#renewed.set(task, { redisMs: now, databaseMs: renewInDatabase ? now : databaseMs })
        }
        return { position: result.position, textBytes: result.textBytes }
      }
      await this.#throwUnlessRetryable(task, result)
      if (performance.now() > deadline) throw unavailable('The task is being ended: repeat.')
    }
  }

  /** Renews the lease of a task whose producer sends nothing. Throws like {@link write}. */
  keepAlive(task: TaskIdentity): Promise<AcceptedTaskEvent> {
    return this.write(task, { type: 'progress' })
  }

  /** Resolves when no renewal is pending. */
  async close(): Promise<void> {
    await Promise.all(this.#renewals)
  }

  /** Throws the refusal of an event. Resolves when the event is worth another attempt. */
  async #throwUnlessRetryable(task: TaskIdentity, result: Exclude<AppendResult, { outcome: 'ok' }>): Promise<void> {
    if (result.outcome === 'offset') throw textOffset(result.textBytes)
    if (result.outcome === 'limit') throw taskLimit(result.limit, result.textBytes)
    if (result.outcome === 'over' && isTerminal(result.status)) throw taskOver(result.status)
    const row = await this.#store.find(task.taskId)
    if (!row) throw noSuchTask()
    if (!isOpen(row)) {
      // The instance that stored the end could not record it in Redis.
      if (result.outcome === 'over') await this.#history.markEnded(task, row.status)
      throw taskOver(row.status)
    }
    // Either Redis has lost the task, or its end is being stored, which takes some ms or fails, or the attempt to end it was abandoned.
    if (result.outcome === 'unknown') await this.#history.open(task, row.status)
    else if (result.abandonedBy !== undefined) await this.#history.reopen(task, result.abandonedBy)
    else await delay(closingRetryMs)
  }

  /** The event does not wait for this: Redis has recorded it, and the lease in MySQL matters only when Redis has lost the task. */
  #renewInDatabase(taskId: string): void {
    const renewal = this.#store
      .renew(taskId)
      .catch((error: unknown) => void this.#failures.failed('a lease could not be renewed', error, { taskId }))
      .finally(() => this.#renewals.delete(renewal))
    this.#renewals.add(renewal)
  }
}

/** Returns what is published for an event. */
export function changeOf(event: TaskProducerEvent): TaskChange {
  return event.type === 'data' ? { type: 'data', data: [event.data] } : event
}
