import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import helmet from 'helmet'

/**
 * JSON takes part in no page: nothing may frame it, run from it or guess its type. The headers are the same for every answer, so helmet
 * is asked for them once; its Fastify plugin asks it anew for each.
 */
export function addSecurityHeaders(app: FastifyInstance): void {
  const request = new IncomingMessage(new Socket())
  const response = new ServerResponse(request)
  const contentSecurityPolicy = { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } }
  helmet({ contentSecurityPolicy })(request, response, () => {})
  const headers = response.getHeaders()
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
}
