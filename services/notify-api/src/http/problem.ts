/**
 * Every problem of this service (RFC 9457). Its type is `https://tidings.dev/problem/` followed by the name here. The type identifies the
 * problem permanently; it is meant for comparison, not for retrieval.
 */
export const problems = {
  invalid: {
    status: 400,
    title: 'The request is not valid',
    when: 'a field is missing, unknown or not valid: `errors` names each one and the reason',
  },
  'not-utf-8': { status: 400, title: 'The text is not UTF-8', when: 'an upload has bytes that are not UTF-8' },
  malformed: {
    status: 400,
    title: 'The request cannot be parsed',
    when: 'the body cannot be parsed as JSON, or the HTTP request is broken',
  },
  unauthorized: {
    status: 401,
    title: 'No valid token',
    when: 'the token is missing, expired or not valid; `detail` is the reason',
  },
  'missing-scope': {
    status: 403,
    title: 'The token lacks a scope',
    when: 'the token lacks the scope that `detail` and WWW-Authenticate name',
  },
  'forbidden-origin': {
    status: 403,
    title: 'The Origin is not allowed',
    when: 'a member call that changes state comes from an Origin that is not allowed',
  },
  'not-found': {
    status: 404,
    title: 'Not found',
    when: 'there is no such call, the member has no such notification or task, or Web Push is not configured',
  },
  'method-not-allowed': {
    status: 405,
    title: 'Method not allowed',
    when: 'the path does not have this method: Allow names those that it has',
  },
  'still-running': {
    status: 409,
    title: 'The first request is still running',
    when: 'the first request with this Idempotency-Key has not ended: repeat after Retry-After seconds',
  },
  'stream-idle': {
    status: 408,
    title: 'The upload was silent for too long',
    when: 'an upload sent nothing for TASK_STREAM_IDLE_SECONDS: continue with a new one at `textBytes` of the task',
  },
  'request-timeout': {
    status: 408,
    title: 'The request did not arrive in time',
    when: 'the request was not complete after 30 s',
  },
  'task-over': {
    status: 409,
    title: 'The task is over',
    when: 'the task has ended with `taskStatus`; `cancelled` asks the producer to stop',
  },
  'task-exists': {
    status: 409,
    title: 'There is another task with this id',
    when: 'the id belongs to a task of another member or another kind',
  },
  'text-offset': {
    status: 409,
    title: 'The text ends elsewhere',
    when: 'the text does not end at the offset: continue after `textBytes` bytes',
  },
  'task-limit': { status: 413, title: 'The task is too large', when: 'the call would exceed the setting that `limit` names' },
  'too-large': { status: 413, title: 'Too large', when: 'the body is over 64 KiB, or one send would store too many bytes' },
  'unsupported-media-type': {
    status: 415,
    title: 'The Content-Type is not accepted',
    when: 'Content-Type is not accepted, or is missing on a member call that changes state',
  },
  'channel-refused': {
    status: 422,
    title: 'Redis does not permit the channel',
    when: 'the ACL of Redis does not permit notify-api to publish to the channel of the destination',
  },
  'key-reused': {
    status: 422,
    title: 'The Idempotency-Key was used for another request',
    when: 'the Idempotency-Key was used for another request: use a new key',
  },
  refused: { status: 422, title: 'The database refuses these values', when: 'a constraint of the database forbids the values' },
  'rate-limited': {
    status: 429,
    title: 'Too many requests',
    when: 'the caller has sent too many requests: repeat after Retry-After seconds',
  },
  'headers-too-large': {
    status: 431,
    title: 'The headers are too large',
    when: 'the request line and the headers have more than 16 KiB',
  },
  internal: { status: 500, title: 'Internal error', when: 'a defect of this service: it is logged under `requestId`' },
  unavailable: {
    status: 503,
    title: 'Not available right now',
    when: 'MySQL or Redis does not reply, or too many requests are waiting: repeat after Retry-After seconds',
  },
} as const satisfies Record<string, { status: number; title: string; when: string }>

export type ProblemName = keyof typeof problems

/** An error in one field of the request. */
export interface FieldError {
  readonly in: 'body' | 'query' | 'path' | 'header'
  /** JSON Pointer as a URI fragment (RFC 6901 §6) into that part of the request: `#/redirectPath`. */
  readonly pointer: string
  readonly detail: string
}

/** Extension members of some problems (RFC 9457 §3.2). */
export interface ProblemExtension {
  readonly taskStatus?: string
  readonly textBytes?: number
  readonly limit?: string
}

export interface ProblemOptions {
  readonly errors?: readonly FieldError[]
  readonly headers?: Readonly<Record<string, string>>
  readonly extension?: ProblemExtension
  readonly cause?: unknown
}

export const problemTypes = 'https://tidings.dev/problem/'

/** A refusal that is sent as the response. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly problem: ProblemName
  readonly status: number
  readonly errors: readonly FieldError[] | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly extension: ProblemExtension | undefined

  constructor(problem: ProblemName, detail: string, { errors, headers = {}, extension, cause }: ProblemOptions = {}) {
    super(detail, { cause })
    this.problem = problem
    this.status = problems[problem].status
    this.errors = errors
    this.headers = headers
    this.extension = extension
  }

  toJSON() {
    const { title, status } = problems[this.problem]
    return {
      type: `${problemTypes}${this.problem}`,
      title,
      status,
      detail: this.message,
      ...(this.errors && { errors: this.errors }),
      ...this.extension,
    }
  }
}

const retryAfterSeconds = 1

/** Returns the problem of a request that may be repeated soon. */
export function unavailable(detail: string, { cause }: { cause?: unknown } = {}): Problem {
  return new Problem('unavailable', detail, { headers: { 'retry-after': String(retryAfterSeconds) }, cause })
}

/** Returns the problem of a request whose first attempt has not ended. */
export function stillRunning(): Problem {
  return new Problem('still-running', 'The first request with this Idempotency-Key has no response yet.', {
    headers: { 'retry-after': String(retryAfterSeconds) },
  })
}
