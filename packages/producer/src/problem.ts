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
  /** What is wrong with each field. */
  readonly errors?: readonly { readonly in: string; readonly pointer: string; readonly detail: string }[]
}

const msPerSecond = 1_000

/** notify-api responded with a status that may pass, such as 429 or 503. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
  readonly problem: Problem
  /** How long notify-api asks to wait, in ms. */
  readonly retryAfterMs: number

  constructor(problem: Problem, retryAfterMs: number) {
    super(`notify-api responded with status ${problem.status}: ${problem.detail ?? problem.title}`)
    this.problem = problem
    this.retryAfterMs = retryAfterMs
  }
}

/** notify-api refused a call. A retry would be refused as well. */
export class Refused extends Error {
  override readonly name: string = 'Refused'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title)
    this.problem = problem
  }
}

/** The task has ended: stop working. `status` is `cancelled` when the member cancelled it. */
export class TaskOver extends Refused {
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

/** Returns the error for a response that is not ok: `Unavailable` when the same call may succeed later. */
export async function errorOf(response: Response): Promise<Refused | Unavailable> {
  const { status, headers } = response
  const problem = problemOf(response, await response.text())
  if (status >= 500 || status === 429 || status === 408 || problem.type.endsWith('/still-running')) {
    return new Unavailable(problem, Number(headers.get('retry-after') ?? 0) * msPerSecond || 0)
  }
  return problem.type.endsWith('/task-over') ? new TaskOver(problem) : new Refused(problem)
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
