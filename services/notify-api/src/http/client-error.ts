import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { type Log, loggable } from '@tidings/chassis'
import type { FastifyServerOptions } from 'fastify'

/** Responses to requests that Node's HTTP parser rejects, by error code. They equal those of Fastify's own handler. */
const responses: Readonly<Record<string, { readonly status: number; readonly message: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'Client Timeout' },
  HPE_HEADER_OVERFLOW: { status: 431, message: 'Exceeded maximum allowed HTTP header size' },
}
const otherResponse = { status: 400, message: 'Client Error' }

/**
 * Returns Fastify's `clientErrorHandler`. Requests on sockets in `untimed` may take longer than the server's `requestTimeout`, because
 * their route limits the time itself: Node has one timeout for all requests, and leaves it to this handler to close the connection.
 */
export function clientErrorHandler(log: Log, untimed: WeakSet<Socket>): NonNullable<FastifyServerOptions['clientErrorHandler']> {
  return (error, socket) => {
    // After a reset the socket is destroyed already.
    if (error.code === 'ECONNRESET' || socket.destroyed) return
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && untimed.has(socket)) return
    log.trace({ err: loggable(error) }, 'client error')
    const { status, message } = responses[error.code] ?? otherResponse
    const body = JSON.stringify({ error: STATUS_CODES[status], message, statusCode: status })
    if (socket.writable) {
      const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: ${body.length}\r\nContent-Type: application/json`
      socket.write(`${head}\r\n\r\n${body}`)
    }
    socket.destroy(error)
  }
}
