import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'
import { requestIdHeader } from './request-id.ts'

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

/** Sends a problem of type `about:blank` with the id of the request. */
export function sendProblem(reply: FastifyReply, status: number, detail?: string): FastifyReply {
  const requestId = reply.request.id
  return reply
    .code(status)
    .header(requestIdHeader, requestId)
    .type(problemMediaType)
    .send({ ...problemOf(status, detail), requestId })
}

/** Returns the response with a problem as the bytes of HTTP, for a connection without a reply. The connection ends with it. */
export function problemResponse(problem: { readonly status: number }, requestId: string): string {
  const body = JSON.stringify({ ...problem, requestId })
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Content-Type: ${problemMediaType}`,
    `X-Request-Id: ${requestId}`,
    '',
    body,
  ].join('\r\n')
}
