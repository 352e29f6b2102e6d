import { randomUUID } from 'node:crypto'
import { Caller, type CallerOptions } from './caller.ts'
import { TaskOver, taskIsOver, taskOverWithStatus } from './problem.ts'
import { type FinishOptions, Task } from './task.ts'

/** Longest error text that is sent, in characters. notify-api accepts 4,000. */
const maxErrorLength = 4_000

export interface TaskOptions extends CallerOptions {
  /** A text that reads as an integer up to 2^53 - 1 is that integer. */
  readonly memberId: number | string
  /** The kind of work, such as `chat` or `report.export`. */
  readonly kind: string
  readonly title?: string | undefined
  /** A UUID made by the page, so that it can cancel the task before it exists. Default: a new one. */
  readonly taskId?: string | undefined
}

/**
 * Creates a task, which is announced to the member's devices. The caller ends it with `finish` or `release`.
 *
 * @throws TaskOver when the member cancelled it before it was created.
 */
export async function createTask({ memberId, kind, title, taskId = randomUUID(), ...options }: TaskOptions): Promise<Task> {
  const caller = new Caller(options)
  const created = await caller.call<{ status: string; leaseSeconds: number }>('/task', { taskId, memberId, kind, title })
  if (taskIsOver(created.status)) throw taskOverWithStatus(created.status)
  return new Task(caller, taskId, created.leaseSeconds)
}

/**
 * Creates a task, runs `work`, and finishes the task: as `succeeded` with what `work` returns, as `failed` when it throws. When the
 * member cancels, `task.signal` aborts and calls on the task throw `TaskOver`.
 *
 * @returns the status in which the task ended.
 * @throws what `work` throws, unless the task was over by then.
 */
export async function runTask(
  options: TaskOptions,
  work: (task: Task) => Promise<Omit<FinishOptions, 'status'> | void>,
): Promise<string> {
  let task: Task | undefined
  try {
    task = await createTask(options)
    const end: FinishOptions = { status: 'succeeded', ...(await work(task)) }
    await task.finish(end)
    return end.status
  } catch (error) {
    if (error instanceof TaskOver) return error.status
    if (task?.signal.aborted) return (task.signal.reason as TaskOver).status
    await task?.finish({ status: 'failed', error: error instanceof Error ? error.message.slice(0, maxErrorLength) : 'failed' })
    throw error
  } finally {
    task?.release()
  }
}
