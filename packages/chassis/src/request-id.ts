import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** Header with the id of a request, in the request and in its response. */
export const requestIdHeader = 'x-request-id'

/** An id of a caller: it appears in log lines and headers. */
const acceptable = /^[\w.:=+/@~-]{1,128}$/

/**
 * Returns the id of a request: its `X-Request-Id`. If that is missing or not valid, it is set to a new UUID first, so that a request that is
 * forwarded has the same id.
 */
export function requestIdOf({ headers }: { readonly headers: IncomingHttpHeaders }): string {
  const given = headers[requestIdHeader]
  if (typeof given === 'string' && acceptable.test(given)) return given
  return (headers[requestIdHeader] = randomUUID())
}

/** Adds `X-Request-Id` to every response. The app must have {@link requestIdOf} as `genReqId`. */
export function addRequestId(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header(requestIdHeader, request.id)
    done()
  })
}
