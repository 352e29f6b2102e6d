import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { type Log, problemResponse } from '@tidings/chassis'
import type { FastifyServerOptions } from 'fastify'
import { Problem } from './problem.ts'

/** Returns the problem of a request that Node's HTTP parser rejects. */
function problemOf(code: string): Problem {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('request-timeout', 'The request did not arrive in time.')
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('headers-too-large', 'The headers have more than 16 KiB.')
  return new Problem('malformed', `The request is not HTTP/1.1 (${code}).`)
}

/**
 * Returns Fastify's `clientErrorHandler`. Requests on sockets in `untimed` may take longer than the server's `requestTimeout`, because
 * their route limits the time itself: Node has one timeout for all requests, and leaves it to this handler to close the connection.
 */
export function clientErrorHandler(log: Log, untimed: WeakSet<Socket>): NonNullable<FastifyServerOptions['clientErrorHandler']> {
  return (error, socket) => {
    // After a reset the socket is destroyed already.
    if (error.code === 'ECONNRESET' || socket.destroyed) return
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && untimed.has(socket)) return
    const problem = problemOf(error.code)
    const requestId = randomUUID()
    log.debug({ requestId, problem: problem.problem, reason: error.code }, 'request refused')
    if (socket.writable) socket.write(problemResponse(problem.toJSON(), requestId))
    socket.destroy(error)
  }
}
