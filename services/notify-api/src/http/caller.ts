import {
  authenticateMember,
  bearerChallenge,
  bearerToken,
  memberChallenge,
  type MemberVerdict,
  presentedTokens,
  type Revocations,
  scopesOf,
  type TokenVerifier,
  type Verdict,
} from '@tidings/chassis'
import type { MemberId } from '@tidings/protocol'
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { Problem, type ProblemName } from './problem.ts'

/** The authenticated caller of a request. */
export interface Caller {
  /** Identifies the caller in rate limits and idempotency keys. */
  readonly id: string
  /** Set when the caller is a member. */
  readonly memberId: MemberId | undefined
  /** The token of a member. */
  readonly token?: string
  /** When the token of a member was issued, in Unix seconds. */
  readonly issuedAt?: number
}

/** Name of the request decorator that holds the caller. */
export const callerDecorator = 'caller'

/** Returns the caller of a request whose route has one of the hooks below. */
export function callerOf(request: FastifyRequest): Caller {
  const caller = request.getDecorator<Caller | null>(callerDecorator)
  if (!caller) throw new Error('this route has no authentication hook')
  return caller
}

/** Returns the member that made a request, on routes for members. */
export function memberOf(request: FastifyRequest): MemberId {
  const { memberId } = callerOf(request)
  if (memberId === undefined) throw new Error('this route is not for members')
  return memberId
}

/** Returns the token with which a member made a request, on routes for members. */
export function tokenOf(request: FastifyRequest): string {
  return callerOf(request).token ?? ''
}

export type Scope =
  | 'notification:send'
  | 'notification:broadcast'
  | 'notification:read'
  | 'notification:recall'
  | 'notification:status'
  | 'message:send'
  | 'presence:read'
  | 'session:revoke'
  | 'task:write'

export interface BackendOptions {
  readonly tokens: TokenVerifier
  /** Name of the claim with the scopes. */
  readonly scopeClaim: string
}

/** Returns a hook that authenticates backends and requires `scope` in their token. */
export function backend(options: BackendOptions, scope: Scope): onRequestAsyncHookHandler {
  return async (request) => {
    const result = await authenticateBackend(options, request, scope)
    if (result instanceof Problem) throw result
    request.setDecorator<Caller>(callerDecorator, result)
  }
}

function authenticateBackend(
  { tokens, scopeClaim }: BackendOptions,
  { headers }: FastifyRequest,
  scope: Scope,
): Caller | Problem | Promise<Caller | Problem> {
  const token = bearerToken(headers.authorization)
  const callerFrom = (verdict: Verdict): Caller | Problem => {
    if (verdict.refused !== undefined) {
      return refusal('unauthorized', 'authorization', verdict.refused, {
        'www-authenticate': bearerChallenge(token && verdict.refused),
      })
    }
    const scopes = scopesOf(verdict.claims[scopeClaim])
    if (scopes?.includes(scope)) return { id: `service:${verdict.subject}`, memberId: undefined }
    const detail = scopes
      ? `the token lacks the scope ${scope}`
      : `${scopeClaim} of the token is neither a text nor an array of texts: ${scope} is required`
    return refusal('missing-scope', 'authorization', detail, {
      'www-authenticate': `Bearer realm="tidings", error="insufficient_scope", scope="${scope}"`,
    })
  }
  const verdict = tokens.verify(token)
  return verdict instanceof Promise ? verdict.then(callerFrom) : callerFrom(verdict)
}

export interface MemberOptions {
  readonly tokens: TokenVerifier
  readonly revocations: Revocations
  readonly cookie: string
  readonly allowed: (origin: string | undefined) => boolean
}

/**
 * Returns a hook that authenticates members. Calls that change state need the content type of JSON, and with a cookie an allowed Origin: a
 * form on a foreign page can send the cookie, but neither of these. With `Authorization` the Origin may be missing, but not another one.
 */
export function member(options: MemberOptions, { writes }: { writes: boolean }): onRequestAsyncHookHandler {
  return async (request) => {
    const refused = writes && refusedWrite(options, request)
    if (refused) throw refused
    const result = await authenticateAsMember(options, request)
    if (result instanceof Problem) throw result
    request.setDecorator<Caller>(callerDecorator, result)
  }
}

/** Returns why a call that changes state may not come from a member's page. */
function refusedWrite({ allowed }: MemberOptions, { headers }: FastifyRequest): Problem | undefined {
  const needsOrigin = headers.origin !== undefined || bearerToken(headers.authorization) === undefined
  if (needsOrigin && !allowed(headers.origin)) return refusal('forbidden-origin', 'origin', 'is missing or not allowed')
  if (!/^application\/json *(?:;|$)/i.test(headers['content-type'] ?? '')) {
    return refusal('unsupported-media-type', 'content-type', 'must be application/json, also with an empty body')
  }
  return undefined
}

/** The refusal of a token that was valid until it was revoked. */
class Revoked extends Problem {}

function authenticateAsMember(
  { tokens, revocations, cookie }: MemberOptions,
  { headers }: FastifyRequest,
): Caller | Problem | Promise<Caller | Problem> {
  const presented = presentedTokens(headers, cookie)
  const callerFrom = (verdict: MemberVerdict): Caller | Problem => {
    if (verdict.refused === undefined) {
      const { memberId, issuedAt } = verdict.principal
      return { id: `member:${memberId}`, memberId, token: verdict.token, issuedAt }
    }
    const detail = presented.header === 'cookie' ? `${cookie}: ${verdict.refused}` : verdict.refused
    const problem = verdict.revoked ? Revoked : Problem
    return refusal(
      'unauthorized',
      presented.header,
      detail,
      {
        'www-authenticate': memberChallenge(presented, verdict.refused, cookie),
      },
      problem,
    )
  }
  const verdict = authenticateMember(tokens, presented.tokens, revocations)
  return verdict instanceof Promise ? verdict.then(callerFrom) : callerFrom(verdict)
}

/**
 * Returns a hook for calls that are open to both. A caller with a cookie is a member. One with `Authorization` is a backend if its token
 * has the scope, otherwise a member.
 */
export function eitherCaller(
  services: BackendOptions,
  scope: Scope,
  members: MemberOptions,
  { writes }: { writes: boolean },
): onRequestAsyncHookHandler {
  const asMember = member(members, { writes })
  return async function either(request, reply) {
    if (bearerToken(request.headers.authorization) === undefined) {
      await asMember.call(this, request, reply)
      return
    }
    // Both at once: the keys of one may have to be fetched, which must not delay a token that the other verifies.
    const backendResult = authenticateBackend(services, request, scope)
    const memberResult = authenticateAsMember(members, request)
    const known = [backendResult, memberResult].find(isCaller)
    const asBackend = known ?? (await backendResult)
    const caller = isCaller(asBackend) ? asBackend : await memberResult
    // With one key for both, a backend without the scope and a member whose token was revoked differ only in this.
    if (!isCaller(caller)) throw caller instanceof Revoked ? caller : asBackend
    const refused = writes && caller.memberId !== undefined && refusedWrite(members, request)
    if (refused) throw refused
    request.setDecorator<Caller>(callerDecorator, caller)
  }
}

function isCaller(result: Caller | Problem | Promise<Caller | Problem>): result is Caller {
  return !(result instanceof Promise) && !(result instanceof Problem)
}

function refusal(
  problem: ProblemName,
  header: string,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
  Kind: typeof Problem = Problem,
): Problem {
  return new Kind(problem, `${header}: ${detail}`, { errors: [{ in: 'header', pointer: `#/${header}`, detail }], headers })
}
