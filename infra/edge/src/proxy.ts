import replyFrom from '@fastify/reply-from'
import { sendProblem } from '@tidings/chassis'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Paths of notify-api that the edge serves, each with all paths below it. */
export const apiPaths = [
  '/notification',
  '/message',
  '/presence',
  '/push',
  '/task',
  '/session',
  '/openapi.json',
  '/docs',
] as const

interface ProxyOptions {
  readonly notifyApiUrl: string
  /** Called for each request to which notify-api does not respond. */
  readonly onFailure: (error: unknown, request: FastifyRequest) => void
}

/** Fastify plugin: forwards the HTTP API to notify-api. Bodies stream both ways; no request is retried. */
export async function proxyApi(app: FastifyInstance, { notifyApiUrl, onFailure }: ProxyOptions): Promise<void> {
  await app.register(replyFrom, { base: notifyApiUrl, retryMethods: [], disableRequestLogging: true, destroyAgent: true })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  const forward = (request: FastifyRequest, reply: FastifyReply) =>
    reply.from(originForm(request.raw.url ?? '/'), {
      // The edge has already sent 100 Continue, and undici refuses to send `Expect`.
      rewriteRequestHeaders: (_, { expect: _expect, ...headers }) => ({ ...headers, ...forwardedHeaders(request) }),
      onError: (_, { error }) => {
        onFailure(error, request)
        void sendProblem(reply, 502, 'notify-api does not reply')
      },
    })
  for (const path of apiPaths) {
    app.all(path, forward)
    app.all(`${path}/*`, forward)
  }
}

/** Returns the request target without scheme and authority: a client may send the absolute form (RFC 9112 §3.2.2). */
function originForm(target: string): string {
  return target.replace(/^https?:\/\/[^/]*/i, '')
}

/** Returns X-Forwarded-For, extended by the client's address, X-Forwarded-Host and X-Forwarded-Proto. */
function forwardedHeaders(request: FastifyRequest): Record<string, string> {
  const earlier = [request.headers['x-forwarded-for']].flat().filter(Boolean)
  return {
    'x-forwarded-for': [...earlier, request.raw.socket.remoteAddress].join(', '),
    'x-forwarded-host': request.host,
    'x-forwarded-proto': request.protocol,
  }
}
