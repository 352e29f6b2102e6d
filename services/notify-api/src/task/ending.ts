import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { FailureLog, type Log } from '@tidings/chassis'
import type { MemberId, TaskState, TaskStatus } from '@tidings/protocol'
import { Problem, unavailable } from '../http/problem.ts'
import type { RequestTrace } from '../http/trace.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { isPushed } from '../reach/escalation.ts'
import type { Reach } from '../reach/reach.ts'
import type { TaskHistory } from './history.ts'
import { noSuchTask, taskOver, tooManyEarlyCancels } from './problem.ts'
import { identityOf, isTerminal, type TaskIdentity, type TaskRow, type TerminalStatus } from './row.ts'
import { closeTimeoutMs } from './script.ts'
import type { StoredEnd, TaskEnd, TaskStore } from './store.ts'

export interface TaskEndingOptions {
  readonly store: TaskStore
  readonly history: TaskHistory
  readonly outbox: Pick<Outbox, 'publishEach'>
  readonly reach: Pick<Reach, 'expedite'>
  readonly log: Log
  /** Called once for each task that this instance ends. */
  readonly onEnd: (status: TerminalStatus) => void
}

const reopenRetryMs = 250

/**
 * Ends tasks. Only the first end of a task counts. The channel is closed first, so that nothing is appended after the end; then the end
 * is stored with all text and data; then it is published.
 */
export class TaskEnding {
  readonly #options: TaskEndingOptions
  readonly #failures: FailureLog

  constructor(options: TaskEndingOptions) {
    this.#options = options
    this.#failures = new FailureLog(options.log, 'warn')
  }

  /**
   * Ends a task. Resolves also when the task ended in the same way before.
   *
   * @throws Problem `not-found`, `unavailable`, or `task-over` when the task ended in another way before.
   */
  async end(taskId: string, end: TaskEnd): Promise<void> {
    const { store } = this.#options
    const row = await store.find(taskId)
    if (!row) throw noSuchTask()
    if (isTerminal(row.status)) return refuseDifferentEnd(row, end)
    if (await this.endFirst(row, end)) return
    const ended = await store.find(taskId)
    if (!ended || !isTerminal(ended.status)) throw unavailable('The task is being ended: repeat.')
    refuseDifferentEnd(ended, end)
  }

  /**
   * Cancels a task for its member. When there is no such task yet, the cancel is stored, and the task will be created as cancelled.
   *
   * @throws Problem as {@link end}, or `rate-limited` when too many cancels of the member are waiting for their tasks.
   */
  async cancel(taskId: string, memberId: MemberId, trace: RequestTrace): Promise<void> {
    const { store } = this.#options
    const row = (await store.find(taskId)) ?? (await store.cancelEarly(taskId, memberId))
    if (!row) throw tooManyEarlyCancels()
    if (row.memberId !== memberId) throw noSuchTask()
    await this.end(taskId, { status: 'cancelled', trace })
  }

  /** Ends a task unless it is over already. Resolves to whether this was its end. */
  async endFirst(row: TaskRow, end: TaskEnd): Promise<boolean> {
    const task = identityOf(row)
    const closer = randomUUID()
    const state = await this.#close(task, row.status, closer)
    return state ? this.#store(task, state, end, closer) : false
  }

  /** Like {@link endFirst}, for a task whose text and data cannot be read or stored: they are lost. */
  async endWithoutContent(row: TaskRow, end: TaskEnd): Promise<boolean> {
    const { history } = this.#options
    const task = identityOf(row)
    const { memberId: _, ...name } = task
    const closer = randomUUID()
    try {
      await history.close(task, closer)
    } catch (error) {
      // Stored all the same: what Redis has of this task may be unusable. While Redis does not respond, nothing is lost yet.
      if (error instanceof Problem) throw error
      this.#failures.failed('the channel of a task could not be closed', error, { taskId: task.taskId })
    }
    return this.#store(task, { ...name, status: row.status, text: '', data: [] }, end, closer)
  }

  /** Stores and publishes the end of a task that is closed. Resolves to whether this was its end. */
  async #store(task: TaskIdentity, state: TaskState, end: TaskEnd, closer: string): Promise<boolean> {
    const { store, onEnd } = this.#options
    const stored = await store.end(task, state, end).catch((error: unknown) => this.#recover(task, closer, error, end))
    if (!stored) return false
    onEnd(end.status)
    await Promise.all([this.#markEnded(task, end), this.#publish(stored, end)])
    void this.#expireSoon(task, end)
    return true
  }

  async #publish({ rows, notificationId }: StoredEnd, { notify }: TaskEnd): Promise<void> {
    const { outbox, reach } = this.#options
    const online = await Promise.all(outbox.publishEach(rows, { noneDeferred: false }))
    if (notificationId !== undefined && isPushed(notify?.escalation) && online.at(-1) === false) reach.expedite([notificationId])
  }

  async #expireSoon(task: TaskIdentity, end: TaskEnd): Promise<void> {
    const { history } = this.#options
    try {
      await history.expireSoon(task)
    } catch (error) {
      this.#failures.failed('the history of an ended task is kept for an hour', error, idsOf(task, end))
    }
  }

  /** Refuses events from now on. Resolves to the state of the task, or to undefined when it ended before. */
  async #close(task: TaskIdentity, status: TaskStatus, closer: string): Promise<TaskState | undefined> {
    const { history } = this.#options
    try {
      // Closed before it is read: what is appended after reading would follow `finished`, and be missing from what is stored.
      let closed = await history.close(task, closer)
      if (closed === null) {
        await history.open(task, status)
        closed = await history.close(task, closer)
      }
      return closed === 'closing' ? await history.state(task) : undefined
    } catch (error) {
      void this.#reopenWhenReachable(task, closer)
      throw error
    }
  }

  /**
   * Accepts events again after Redis did not respond to a close. The close may have been applied, or may still be queued in Redis.
   * Nothing of the end is stored, so the producer must not have to wait for it.
   */
  async #reopenWhenReachable(task: TaskIdentity, closer: string): Promise<void> {
    const { history } = this.#options
    for (const deadline = performance.now() + closeTimeoutMs; performance.now() < deadline; ) {
      try {
        return await history.reopen(task, closer)
      } catch {
        await delay(reopenRetryMs, undefined, { ref: false })
      }
    }
  }

  /**
   * Handles an end whose transaction failed, after which it may be stored or not. Marks the task as ended when an end is stored, and
   * accepts events again otherwise. While neither can be done, the task stays closed. Always throws `error`.
   */
  async #recover(task: TaskIdentity, closer: string, error: unknown, end: TaskEnd): Promise<never> {
    const { store, history } = this.#options
    try {
      const row = await store.find(task.taskId)
      if (row && isTerminal(row.status)) await history.markEnded(task, row.status)
      else await history.reopen(task, closer)
    } catch (second) {
      this.#failures.failed('a task stays closed until its end is repeated or its lease expires', second, idsOf(task, end))
    }
    throw error
  }

  async #markEnded(task: TaskIdentity, end: TaskEnd): Promise<void> {
    const { history } = this.#options
    try {
      await history.markEnded(task, end.status)
    } catch (error) {
      const event = 'the end of a task could not be recorded in redis: the next event reads it from MySQL'
      this.#failures.failed(event, error, idsOf(task, end))
    }
  }
}

/** The fields of log lines about an end. */
function idsOf({ taskId }: TaskIdentity, { trace }: TaskEnd): { taskId: string; requestId?: string } {
  return { taskId, ...(trace && { requestId: trace.requestId }) }
}

function refuseDifferentEnd(row: TaskRow, { status, result, error }: TaskEnd): void {
  const stored = row.result === null ? undefined : (JSON.parse(row.result) as unknown)
  const same = row.status === status && row.error === (error ?? null) && isDeepStrictEqual(stored, result)
  if (!same) throw taskOver(row.status)
}
