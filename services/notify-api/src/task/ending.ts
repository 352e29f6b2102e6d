import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { type Log, loggable } from '@tidings/chassis'
import type { TaskState, TaskStatus } from '@tidings/protocol'
import type { Outbox } from '../outbox/outbox.ts'
import { unavailable } from '../http/problem.ts'
import { isTerminal, nameOf, type TaskName, type TaskRow, type TerminalStatus } from './row.ts'
import type { TaskEnd, TaskStore } from './store.ts'
import { foldTask } from './fold.ts'
import { closingMs, type TaskHistory } from './history.ts'
import { noSuchTask, taskOver } from './problem.ts'

export interface TaskEndingOptions {
  readonly store: TaskStore
  readonly history: TaskHistory
  readonly outbox: Pick<Outbox, 'publish'>
  readonly log: Log
  readonly onEnd: (status: TerminalStatus) => void
}

const letInRetryMs = 250

/** Ends tasks: the first end holds, is stored with all text and data, and published after that. */
export class TaskEnding {
  readonly #options: TaskEndingOptions

  constructor(options: TaskEndingOptions) {
    this.#options = options
  }

  /**
   * The same end again is no other.
   *
   * @throws Problem `not-found`, `unavailable`, or `task-over` when it has ended otherwise before.
   */
  async end(taskId: string, end: TaskEnd): Promise<void> {
    const { store } = this.#options
    const row = await store.find(taskId)
    if (!row) throw noSuchTask()
    if (isTerminal(row.status)) return refuseOther(row, end)
    if (await this.endFirst(row, end)) return
    const ended = await store.find(taskId)
    if (!ended || !isTerminal(ended.status)) throw unavailable('The task is being ended: repeat.')
    refuseOther(ended, end)
  }

  /**
   * A member's cancel. One that comes before the task is remembered: the task is cancelled from its beginning.
   *
   * @throws Problem as `end`.
   */
  async cancel(taskId: string, memberId: number): Promise<void> {
    const { store } = this.#options
    const row = (await store.find(taskId)) ?? (await store.cancelEarly(taskId, memberId))
    if (row.memberId !== memberId) throw noSuchTask()
    await this.end(taskId, { status: 'cancelled' })
  }

  /** Answers whether this end was the first. */
  async endFirst(row: TaskRow, end: TaskEnd): Promise<boolean> {
    const { store, outbox, onEnd } = this.#options
    const name = nameOf(row)
    const closer = randomUUID()
    const state = await this.#close(name, row.status, closer)
    if (!state) return false
    const rows = await store.end(name, state, end).catch((error: unknown) => this.#reopen(name, closer, error))
    if (!rows) return false
    onEnd(end.status)
    await Promise.all([this.#settle(name, end.status), outbox.publish(rows)])
    return true
  }

  /** Lets no event in any more, and answers what the task came to; undefined when it has ended before. */
  async #close(name: TaskName, status: TaskStatus, closer: string): Promise<TaskState | undefined> {
    const { history } = this.#options
    try {
      // Closed before it is read: what is appended after this would come behind `finished`, and be missing from what is stored.
      let answer = await history.close(name, closer)
      if (answer === null) {
        await history.open(name, status)
        answer = await history.close(name, closer)
      }
      return answer === 'closing' ? foldTask(name, await history.read(name)) : undefined
    } catch (error) {
      void this.#letIn(name, closer)
      throw error
    }
  }

  /** Redis may have closed the task, or may do so when it goes on. Nothing of the end is written: the producer is not to wait for it. */
  async #letIn(name: TaskName, closer: string): Promise<void> {
    const { history } = this.#options
    for (const deadline = performance.now() + closingMs; performance.now() < deadline; ) {
      try {
        return await history.reopen(name, closer)
      } catch {
        await delay(letInRetryMs, undefined, { ref: false })
      }
    }
  }

  /** The end could not be written, or it is not known whether it was. As long as that is so, nothing more may come. */
  async #reopen(name: TaskName, closer: string, error: unknown): Promise<never> {
    const { store, history, log } = this.#options
    try {
      const row = await store.find(name.taskId)
      if (row && isTerminal(row.status)) await history.settle(name, row.status)
      else await history.reopen(name, closer)
    } catch (second) {
      log.warn({ err: loggable(second), taskId: name.taskId }, 'a task stays closed until its end is repeated or its lease ends')
    }
    throw error
  }

  async #settle(name: TaskName, status: TerminalStatus): Promise<void> {
    const { history, log } = this.#options
    try {
      await history.settle(name, status)
    } catch (error) {
      log.warn(
        { err: loggable(error), taskId: name.taskId },
        'redis was not told how a task ended: it asks MySQL at the next event',
      )
    }
  }
}

function refuseOther(row: TaskRow, { status, result, error }: TaskEnd): void {
  const stored = row.result === null ? undefined : (JSON.parse(row.result) as unknown)
  const same = row.status === status && row.error === (error ?? null) && isDeepStrictEqual(stored, result)
  if (!same) throw taskOver(row.status)
}
