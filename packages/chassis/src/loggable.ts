interface ErrorFields {
  readonly name?: string
  readonly code?: string
  readonly errno?: number
  readonly message?: string
  readonly stack?: string
  readonly cause?: unknown
  readonly sql?: unknown
  readonly sqlMessage?: unknown
  readonly command?: unknown
}

/** The fields of an error that may appear in a log. */
export interface Loggable {
  readonly name: string | undefined
  readonly code?: string | undefined
  readonly message?: string | undefined
  readonly stack?: string | undefined
  readonly cause?: Loggable
}

/**
 * Returns what may be logged of an error. Database errors carry the SQL and quote values in their message, and Redis errors carry the
 * command: both contain message bodies, which must never reach a log.
 */
export function loggable(error: unknown): Loggable {
  const { name, code, errno, message, stack, cause, sql, sqlMessage, command } = error as ErrorFields
  const quotesValues = sql !== undefined || sqlMessage !== undefined
  const frames = stack?.slice(stack.indexOf('\n    at '))
  return {
    name,
    ...((code ?? errno) !== undefined && { code: code ?? String(errno) }),
    ...(!quotesValues && { message }),
    ...(command === undefined && { stack: frames }),
    ...(cause !== undefined && { cause: loggable(cause) }),
  }
}
