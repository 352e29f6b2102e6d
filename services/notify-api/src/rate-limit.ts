import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, onRequestAsyncHookHandler } from 'fastify'
import { callerOf } from './caller.ts'
import { Problem } from './problem.ts'

const maxCallers = 10_000
const window = '1 minute'

/**
 * Bounds what one caller may ask of this instance in a minute. A hook that must follow the one that knows the caller. Counts are held
 * in memory, for the callers seen last.
 */
export async function openRateLimits(
  app: FastifyInstance,
  perMinute: { readonly service: number; readonly member: number },
): Promise<{ readonly service: onRequestAsyncHookHandler; readonly member: onRequestAsyncHookHandler }> {
  await app.register(rateLimit, { global: false, cache: maxCallers, keyGenerator: (request) => callerOf(request).id })
  return { service: limit(app, perMinute.service), member: limit(app, perMinute.member) }
}

function limit(app: FastifyInstance, max: number): onRequestAsyncHookHandler {
  const count = app.createRateLimit({ max, timeWindow: window })
  return async (request, reply) => {
    const usage = await count(request)
    if (usage.isAllowed) return
    reply
      .header('ratelimit-limit', usage.max)
      .header('ratelimit-remaining', usage.remaining)
      .header('ratelimit-reset', usage.ttlInSeconds)
    if (usage.isExceeded) {
      throw new Problem('rate-limited', `At most ${max} requests a minute.`, {
        headers: { 'retry-after': String(usage.ttlInSeconds) },
      })
    }
  }
}
