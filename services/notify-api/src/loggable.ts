interface Known {
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

export interface Loggable {
  readonly name: string | undefined
  readonly code?: string | undefined
  readonly message?: string | undefined
  readonly stack?: string | undefined
  readonly cause?: Loggable
}

/**
 * An error as it may be logged. Those of the database carry the SQL, and quote values in their message; those of Redis carry the
 * command: in both are message bodies, which must never reach a log.
 */
export function loggable(error: unknown): Loggable {
  const { name, code, errno, message, stack, cause, sql, sqlMessage, command } = error as Known
  const quotes = sql !== undefined || sqlMessage !== undefined
  const frames = stack?.slice(stack.indexOf('\n    at '))
  return {
    name,
    ...((code ?? errno) !== undefined && { code: code ?? String(errno) }),
    ...(!quotes && { message }),
    ...(command === undefined && { stack: frames }),
    ...(cause !== undefined && { cause: loggable(cause) }),
  }
}
