/** What notify-api answers when it refuses (RFC 9457). */
export interface Problem {
  readonly type: string
  readonly status: number
  readonly title: string
  readonly detail?: string
  /** How the task ended. */
  readonly taskStatus?: string
  /** Where its text ends. */
  readonly textBytes?: number
}

/** notify-api refuses, and would again. */
export class TaskRefused extends Error {
  override readonly name: string = 'TaskRefused'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title)
    this.problem = problem
  }
}

/** The task is over: stop working. `status` is `cancelled` when its member does not want it any more. */
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

/** Of an answer that is no success. Undefined when the same may well succeed later. */
export async function refusalOf(response: Response): Promise<TaskRefused | undefined> {
  const text = await response.text()
  if (response.status >= 500 || response.status === 429 || response.status === 408) return undefined
  const problem = problemOf(response, text)
  return problem.type.endsWith('/task-over') ? new TaskOver(problem) : new TaskRefused(problem)
}

function problemOf(response: Response, text: string): Problem {
  try {
    const problem = JSON.parse(text) as Partial<Problem>
    return { type: 'about:blank', status: response.status, title: response.statusText, ...problem }
  } catch {
    return { type: 'about:blank', status: response.status, title: response.statusText || `status ${response.status}` }
  }
}
