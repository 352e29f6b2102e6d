import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { problemOf, problemResponse } from './problem.ts'

/** Statuses for errors of Node's HTTP parser; 400 for all others. */
const statuses: Readonly<Record<string, number>> = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 }

/** Refuses a request that Node's HTTP parser rejects, and closes its connection. For Fastify's `clientErrorHandler`. */
export function refuseBrokenRequest(error: Error & { readonly code: string }, socket: Socket): void {
  // After a reset the socket is destroyed already.
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  if (socket.writable) socket.write(problemResponse(problemOf(statuses[error.code] ?? 400), randomUUID()))
  socket.destroy(error)
}
