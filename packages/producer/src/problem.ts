/** A refusal of notify-api (RFC 9457). */
export interface Problem {
  readonly type: string
  readonly status: number
  readonly title: string
  readonly detail?: string
  /** The status in which the task ended. */
  readonly taskStatus?: string
  /** Length of the stored text, in bytes of UTF-8. */
  readonly textBytes?: number
}

/** notify-api refused a call. A retry would be refused as well. */
export class TaskRefused extends Error {
  override readonly name: string = 'TaskRefused'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title)
    this.problem = problem
  }
}

/** The task has ended: stop working. `status` is `cancelled` when the member cancelled it. */
export class TaskOver extends TaskRefused {
  override readonly name = 'TaskOver'
  readonly status: string

  constructor(problem: Problem) {
    super(problem)
    this.status = problem.taskStatus ?? 'unknown'
  }

  get cancelled(): boolean {
    return this.status === 'cancelled'
  }
}

/** Makes the error for a task whose status was read, rather than refused by notify-api. */
export function taskOverWithStatus(status: string): TaskOver {
  return new TaskOver({ type: '/task-over', status: 409, title: `The task is ${status}.`, taskStatus: status })
}

export function taskIsOver(status: string): boolean {
  return status !== 'queued' && status !== 'running'
}

/** Returns the refusal in a response that is not ok; undefined when the same call may succeed later. */
export async function refusalOf(response: Response): Promise<TaskRefused | undefined> {
  const text = await response.text()
  if (response.status >= 500 || response.status === 429 || response.status === 408) return undefined
  const problem = problemOf(response, text)
  return problem.type.endsWith('/task-over') ? new TaskOver(problem) : new TaskRefused(problem)
}

/** True when the text in notify-api does not end at the offset of the call (TASK.md, Text offsets). */
export function isTextOffset({ type }: Problem): boolean {
  return type.endsWith('/text-offset')
}

function problemOf(response: Response, text: string): Problem {
  try {
    const problem = JSON.parse(text) as Partial<Problem>
    return { type: 'about:blank', status: response.status, title: response.statusText, ...problem }
  } catch {
    return { type: 'about:blank', status: response.status, title: response.statusText || `status ${response.status}` }
  }
}
