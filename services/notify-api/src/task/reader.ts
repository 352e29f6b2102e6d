import { FailureLog, type Log } from '@tidings/chassis'
import type { MemberId, StoredTask, TaskItem, TaskPage } from '@tidings/protocol'
import type { TaskHistory } from './history.ts'
import { noSuchTask } from './problem.ts'
import { identityOf, isOpen, itemOf, storedTaskOf, type TaskRow } from './row.ts'
import type { TaskStore } from './store.ts'

/** Reads tasks: from Redis while they run, from MySQL after that. */
export class TaskReader {
  readonly #store: TaskStore
  readonly #history: TaskHistory
  readonly #failures: FailureLog

  constructor({ store, history, log }: { store: TaskStore; history: TaskHistory; log: Log }) {
    this.#store = store
    this.#history = history
    this.#failures = new FailureLog(log, 'warn')
  }

  /**
   * Returns a task with its text and data. `memberId`: only when it is a task of this member.
   *
   * @throws Problem `not-found` or `unavailable`.
   */
  async read(taskId: string, memberId: MemberId | undefined): Promise<StoredTask> {
    const row = await this.#store.find(taskId)
    if (!row || row.kind === null || (memberId !== undefined && row.memberId !== memberId)) throw noSuchTask()
    if (!isOpen(row)) return storedTaskOf(row)
    return storedTaskOf(row, await this.#history.state(identityOf(row)))
  }

  /** Returns a page of a member's tasks, newest first, without text and data. `before`: the `nextCursor` of the page before. */
  async page(memberId: MemberId, limit: number, before: number | undefined): Promise<TaskPage> {
    const rows = await this.#store.page(memberId, limit, before)
    const page = rows.slice(0, limit)
    return {
      items: await Promise.all(page.map((row) => this.#item(row))),
      nextCursor: rows.length > limit ? (page.at(-1)?.taskNumber ?? null) : null,
    }
  }

  /** When Redis does not respond, the item has no progress, and the page does not fail. */
  async #item(row: TaskRow): Promise<TaskItem> {
    const item = itemOf(row)
    if (!isOpen(row)) return item
    try {
      const { status, percent, stage } = await this.#history.progress(identityOf(row))
      return {
        ...item,
        ...(status === 'running' && { status }),
        ...(percent !== undefined && { percent }),
        ...(stage !== undefined && { stage }),
      }
    } catch (error) {
      this.#failures.failed('the progress of a task could not be read', error, { taskId: row.taskId })
      return item
    }
  }
}
