import replyFrom from '@fastify/reply-from'
import type { FastifyInstance, FastifyReply, FastifyRequest, RawServerBase, RouteGenericInterface } from 'fastify'
import { sendProblem } from './problem.ts'

/** What notify-api answers, from the same origin as the page. */
export const apiPaths = ['/notification', '/task', '/session', '/openapi.json', '/docs'] as const

/** Hands the HTTP API on to notify-api: bodies stream both ways, nothing is retried. */
export async function proxyApi(app: FastifyInstance, notifyApiUrl: string): Promise<void> {
  await app.register(replyFrom, { base: notifyApiUrl, retryMethods: [], disableRequestLogging: true, destroyAgent: true })
  await app.register(async (api) => {
    api.removeAllContentTypeParsers()
    api.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    for (const path of apiPaths) {
      api.all(path, handOn)
      api.all(`${path}/*`, handOn)
    }
  })
}

function handOn(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.from(request.raw.url, {
    rewriteRequestHeaders: (_, headers) => ({ ...headers, ...forwarded(request) }),
    onError: unreachable,
  })
}

/** Who asked, and for which host (de facto standard X-Forwarded-*). */
export function forwarded(request: FastifyRequest): Record<string, string> {
  const before = [request.headers['x-forwarded-for']].flat().filter(Boolean)
  return {
    'x-forwarded-for': [...before, request.raw.socket.remoteAddress].join(', '),
    'x-forwarded-host': request.host,
    'x-forwarded-proto': request.protocol,
  }
}

export function unreachable(reply: FastifyReply<RouteGenericInterface, RawServerBase>): void {
  void sendProblem(reply, 502, 'notify-api does not answer')
}
