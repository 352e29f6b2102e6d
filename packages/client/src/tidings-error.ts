/**
 * - `network`: the server was not reached. `timeout`: it did not respond in time.
 * - `unauthorized`: the cookie is missing, or has expired and could not be renewed. `forbidden`, `not-found`: the server refused the request.
 * - `rate-limited`: too many requests. `unavailable`: the server responded with 5xx. `refused`: with any other status.
 * - `member-changed`: another member has signed in; the inbox is read again.
 * - `foreign-message`: a program other than notify-api has published something that is no notification; it was dropped.
 * - `push-failed`: the browser could not subscribe to web push, or the worker file is missing; see the guide, When no tab is open.
 * - `worker-blocked`: the Content-Security-Policy permits no worker; see the guide, Deployment.
 */
export type TidingsErrorCode =
  | 'network'
  | 'timeout'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'rate-limited'
  | 'unavailable'
  | 'refused'
  | 'member-changed'
  | 'foreign-message'
  | 'push-failed'
  | 'worker-blocked'

/** What failed: a code for the application, which can translate it, and a text in English for its developers. */
export interface TidingsError {
  readonly code: TidingsErrorCode
  readonly message: string
}

const codes: Readonly<Record<number, TidingsErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  429: 'rate-limited',
}

/** Returns the code of an HTTP status. */
export function codeOfStatus(status: number): TidingsErrorCode {
  return codes[status] ?? (status >= 500 ? 'unavailable' : 'refused')
}
