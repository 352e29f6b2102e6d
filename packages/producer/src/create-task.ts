import { randomUUID } from 'node:crypto'
import { Caller, type CallerOptions } from './caller.ts'
import { TaskOver } from './problem.ts'
import { type FinishOptions, Task } from './task.ts'

export interface TaskOptions extends CallerOptions {
  readonly memberId: number
  /** What kind of work it is: `chat`, `report.export`. */
  readonly kind: string
  readonly title?: string | undefined
  /** A UUID that the page made, so that it can cancel before the task exists. */
  readonly taskId?: string | undefined
}

/** Tells a member's devices that something has begun. @throws TaskOver when the member cancelled it before it began. */
export async function createTask({ memberId, kind, title, taskId = randomUUID(), ...options }: TaskOptions): Promise<Task> {
  const caller = new Caller(options)
  const created = await caller.call<{ status: string; leaseSeconds: number }>('/task', { taskId, memberId, kind, title })
  if (created.status !== 'queued' && created.status !== 'running') {
    throw new TaskOver({ type: '/task-over', status: 409, title: `The task is ${created.status}.`, taskStatus: created.status })
  }
  return new Task(caller, taskId, created.leaseSeconds)
}

/**
 * A task from its beginning to its end: succeeded with what `work` answers, failed when it throws. When the member cancels, `work` sees
 * its calls throw and `task.signal` abort. Answers how it ended.
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
    await task?.finish({ status: 'failed', error: error instanceof Error ? error.message.slice(0, 4_000) : 'failed' })
    throw error
  } finally {
    task?.release()
  }
}
