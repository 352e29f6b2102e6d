import { type Log, openTokenVerifier, type Revocations, type TokenSettings } from '@tidings/chassis'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import type { Guards } from '../route/api.ts'
import { backend, type BackendOptions, eitherCaller, member, type MemberOptions } from './caller.ts'
import { rateLimit } from './rate-limit.ts'

/** Verified tokens that are cached: a backend sends the same token with each of its thousands of requests. */
const tokenCacheSize = 10_000

/** Returns the guards of all routes. */
export async function openGuards(
  app: FastifyInstance,
  { service, member: { tokens, cookie }, requestsPerMinute }: Config,
  allowed: MemberOptions['allowed'],
  revocations: Revocations,
  log: Log,
  onJwksFailure: (caller: 'service' | 'member') => void,
): Promise<Guards> {
  const verifierOf = (settings: TokenSettings, caller: 'service' | 'member') =>
    openTokenVerifier(settings, { cacheSize: tokenCacheSize, log, onJwksFailure: () => onJwksFailure(caller) })
  const services: BackendOptions = { tokens: verifierOf(service.tokens, 'service'), scopeClaim: service.scopeClaim }
  const members: MemberOptions = { tokens: verifierOf(tokens, 'member'), revocations, cookie, allowed }
  const limit = await rateLimit(app, requestsPerMinute)
  return {
    backend: (scope) => [backend(services, scope), limit],
    memberReads: [member(members, { writes: false }), limit],
    memberWrites: [member(members, { writes: true }), limit],
    backendOrMemberReads: (scope) => [eitherCaller(services, scope, members, { writes: false }), limit],
    backendOrMemberWrites: (scope) => [eitherCaller(services, scope, members, { writes: true }), limit],
  }
}
