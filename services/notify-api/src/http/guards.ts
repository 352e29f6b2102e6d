import { type Log, openTokenVerifier, type Revocations } from '@tidings/chassis'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import type { Guards } from '../route/api.ts'
import { backend, eitherCaller, member, type MemberOptions } from './caller.ts'
import { rateLimit } from './rate-limit.ts'

/** Verified tokens that are cached: a backend sends the same token with each of its thousands of requests. */
const tokenCacheSize = 10_000

/** Returns the guards of all routes. `app` must have its cookie plugin. */
export async function openGuards(
  app: FastifyInstance,
  { service, member: { key, cookie }, requestsPerMinute }: Config,
  allowed: MemberOptions['allowed'],
  revocations: Revocations,
  log: Log,
): Promise<Guards> {
  const services = openTokenVerifier(service.key, { cacheSize: tokenCacheSize, log })
  const tokens = openTokenVerifier(key, { cacheSize: tokenCacheSize, log })
  const members: MemberOptions = { tokens, revocations, cookie, parseCookie: (header) => app.parseCookie(header), allowed }
  const limit = await rateLimit(app, requestsPerMinute)
  return {
    backend: (scope) => [backend(services, scope), limit],
    memberReads: [member(members, { writes: false }), limit],
    memberWrites: [member(members, { writes: true }), limit],
    backendOrMemberReads: (scope) => [eitherCaller(backend(services, scope), member(members, { writes: false })), limit],
  }
}
