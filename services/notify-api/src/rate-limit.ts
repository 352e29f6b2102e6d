import type { onRequestHookHandler } from 'fastify'
import { callerOf } from './caller.ts'
import { Problem } from './problem.ts'

const windowMs = 60_000
const maxCallers = 10_000

interface Window {
  readonly endsAt: number
  used: number
}

/**
 * Bounds what one caller may ask of this instance in a minute. A hook that must follow the one that knows the caller. Counts are held
 * in memory, for a bounded number of callers: when more come, those whose minute began first are forgotten.
 */
export function rateLimit(perMinute: number): onRequestHookHandler {
  const windows = new Map<string, Window>()
  return (request, reply, done) => {
    const { id } = callerOf(request)
    const now = performance.now()
    let window = windows.get(id)
    if (!window || window.endsAt <= now) {
      windows.delete(id)
      window = { endsAt: now + windowMs, used: 0 }
      windows.set(id, window)
      if (windows.size > maxCallers) windows.delete(windows.keys().next().value as string)
    }
    window.used++
    const resetSeconds = Math.ceil((window.endsAt - now) / 1_000)
    reply.headers({
      'ratelimit-limit': perMinute,
      'ratelimit-remaining': Math.max(0, perMinute - window.used),
      'ratelimit-reset': resetSeconds,
    })
    if (window.used <= perMinute) return done()
    done(
      new Problem('rate-limited', `At most ${perMinute} requests a minute.`, {
        headers: { 'retry-after': String(resetSeconds) },
      }),
    )
  }
}
