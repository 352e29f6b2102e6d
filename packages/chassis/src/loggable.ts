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

/** Fields of an error that may be logged. */
export interface Loggable {
  readonly name: string | undefined
  readonly code?: string | undefined
  readonly message?: string | undefined
  readonly stack?: string | undefined
  readonly cause?: Loggable
}

/**
 * Returns the fields of an error that may be logged, with its causes. The text of notifications must never be logged. The message
 * of a database error quotes values, and the stack of a Redis error may contain the command: both are left out.
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
