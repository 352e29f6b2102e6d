import plugin from '@fastify/rate-limit'
import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify'
import { callerOf } from './caller.ts'
import { Problem } from './problem.ts'

const windowMs = 60_000
/** Callers whose counts are held in memory: those seen last. */
const maxCallers = 10_000

/** Bounds what one caller may ask of this instance in a minute. A hook that must follow the one that knows the caller. */
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
