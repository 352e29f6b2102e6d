import { FailureLog, type Log } from '@tidings/chassis'
import type { CreatedTask, TaskStatus } from '@tidings/protocol'
import type { RequestTrace } from '../http/trace.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { TaskHistory } from './history.ts'
import { taskExists } from './problem.ts'
import { isOpen, type TaskIdentity } from './row.ts'
import type { TaskStore } from './store.ts'

export interface TaskCreationOptions {
  readonly store: TaskStore
  readonly history: TaskHistory
  readonly outbox: Pick<Outbox, 'publish'>
  readonly leaseMs: number
  readonly log: Log
}

/** Creates tasks and announces them to their members. */
export class TaskCreation {
  readonly #options: TaskCreationOptions
  readonly #failures: FailureLog

  constructor(options: TaskCreationOptions) {
    this.#options = options
    this.#failures = new FailureLog(options.log, 'warn')
  }

  /**
   * Stores a task and publishes `created` and `started`. `isNew` is false when the task existed before. A task whose cancel came first
   * is created as cancelled.
   *
   * @throws Problem `task-exists` when the id belongs to a task of another member or kind.
   */
  async create(task: TaskIdentity, trace: RequestTrace): Promise<{ task: CreatedTask; isNew: boolean }> {
    const { store, outbox, leaseMs } = this.#options
    const { row, isNew, outboxRows } = await store.create(task, trace)
    if (row.memberId !== task.memberId || row.kind !== task.kind) throw taskExists()
    // The channel begins before the task is announced. `created` does not go through the outbox, which may publish a row twice: a
    // second `created` would make clients discard what they have of the task.
    if (isNew || isOpen(row)) await this.#beginChannel(task, row.status, trace)
    await outbox.publish(outboxRows)
    return { task: { ...task, status: row.status, leaseSeconds: leaseMs / 1_000 }, isNew }
  }

  async #beginChannel(task: TaskIdentity, status: TaskStatus, { requestId, traceparent }: RequestTrace): Promise<void> {
    const { history } = this.#options
    try {
      await history.open(task, status, traceparent)
    } catch (error) {
      this.#failures.failed('a task is created without Redis: its channel begins with the first event', error, {
        taskId: task.taskId,
        requestId,
      })
    }
  }
}
