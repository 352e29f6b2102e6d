import { STATUS_CODES } from 'node:http'

/** Media type of an HTTP error response (RFC 9457 §3). */
export const problemMediaType = 'application/problem+json; charset=utf-8'

/** Body of an HTTP error response (RFC 9457 §3.1). */
export interface ProblemDetails {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
}

/** Returns a problem of type `about:blank`, whose title is the reason phrase of the HTTP status (RFC 9457 §4.2.1). */
export function problemOf(status: number, detail?: string): ProblemDetails {
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Unknown',
    status,
    ...(detail !== undefined && { detail }),
  }
}
