import plugin from '@fastify/rate-limit'
import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify'
import { callerOf } from './caller.ts'
import { Problem } from './problem.ts'

const windowMs = 60_000
/** Most callers whose counts are kept in memory, the most recent ones. */
const maxCallers = 10_000

/** Returns a hook that limits the requests per minute of one caller on this instance. It must run after authentication. */
export async function rateLimit(
  app: FastifyInstance,
  perMinute: { readonly service: number; readonly member: number },
): Promise<onRequestAsyncHookHandler> {
  await app.register(plugin, {
    global: false,
    cache: maxCallers,
    timeWindow: windowMs,
    keyGenerator: (request) => callerOf(request).id,
    max: (request) => (callerOf(request).memberId === undefined ? perMinute.service : perMinute.member),
    enableDraftSpec: true,
    errorResponseBuilder: (_request, { max }) => new Problem('rate-limited', `At most ${max} requests a minute.`),
  })
  return app.rateLimit()
}
