import { authenticateMember, scopesOf, type TokenVerifier } from '@tidings/chassis'
import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import { Problem, type ProblemName } from './problem.ts'

/** The authenticated caller of a request. */
export interface Caller {
  /** Identifies the caller in rate limits and idempotency keys. */
  readonly id: string
  /** Set when the caller is a member. */
  readonly memberId: number | undefined
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
export function memberOf(request: FastifyRequest): number {
  const { memberId } = callerOf(request)
  if (memberId === undefined) throw new Error('this route is not for members')
  return memberId
}

export type Scope =
  | 'notification:send'
  | 'notification:broadcast'
  | 'notification:read'
  | 'message:send'
  | 'presence:read'
  | 'session:revoke'
  | 'task:write'

/** Returns a hook that authenticates backends and requires `scope` in their token. */
export function backend(tokens: TokenVerifier, scope: Scope): onRequestAsyncHookHandler {
  return async (request) => {
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const verdict = await tokens.verify(token)
    if (verdict.refused !== undefined) {
      const invalid = token ? `, error="invalid_token", error_description="${verdict.refused}"` : ''
      throw refusal('unauthorized', 'authorization', verdict.refused, { 'www-authenticate': `Bearer realm="tidings"${invalid}` })
    }
    const scopes = scopesOf(verdict.claims)
    if (!scopes?.includes(scope)) {
      const detail = scopes
        ? `the token lacks the scope ${scope}`
        : `scope of the token is neither a text nor an array of texts: ${scope} is required`
      throw refusal('missing-scope', 'authorization', detail, {
        'www-authenticate': `Bearer realm="tidings", error="insufficient_scope", scope="${scope}"`,
      })
    }
    request.setDecorator<Caller>(callerDecorator, { id: `service:${verdict.claims.sub}`, memberId: undefined })
  }
}

export interface MemberOptions {
  readonly tokens: TokenVerifier
  readonly cookie: string
  readonly parseCookie: (header: string) => Record<string, string | undefined>
  readonly allowed: (origin: string | undefined) => boolean
}

/**
 * Returns a hook that authenticates members. Calls that change state also need an allowed Origin and the content type of JSON: a form on
 * a foreign page can send the cookie, but neither of these.
 */
export function member(
  { tokens, cookie, parseCookie, allowed }: MemberOptions,
  { writes }: { writes: boolean },
): onRequestAsyncHookHandler {
  return async (request) => {
    const { headers } = request
    if (writes && !allowed(headers.origin)) throw refusal('forbidden-origin', 'origin', 'is missing or not allowed')
    if (writes && !/^application\/json *(?:;|$)/i.test(headers['content-type'] ?? '')) {
      throw refusal('unsupported-media-type', 'content-type', 'must be application/json, also with an empty body')
    }
    const verdict = await authenticateMember(tokens, headers.cookie && parseCookie(headers.cookie)[cookie])
    if (verdict.refused !== undefined) {
      throw refusal('unauthorized', 'cookie', `${cookie}: ${verdict.refused}`, {
        'www-authenticate': `Cookie realm="tidings", cookie-name="${cookie}"`,
      })
    }
    const { memberId } = verdict.principal
    request.setDecorator<Caller>(callerDecorator, { id: `member:${memberId}`, memberId })
  }
}

/** Returns a hook for calls that are open to both: a caller that sends `Authorization` is a backend. */
export function eitherCaller(
  asBackend: onRequestAsyncHookHandler,
  asMember: onRequestAsyncHookHandler,
): onRequestAsyncHookHandler {
  return async function either(request, reply) {
    await (request.headers.authorization === undefined ? asMember : asBackend).call(this, request, reply)
  }
}

function refusal(problem: ProblemName, header: string, detail: string, headers: Readonly<Record<string, string>> = {}): Problem {
  return new Problem(problem, `${header}: ${detail}`, { errors: [{ in: 'header', pointer: `#/${header}`, detail }], headers })
}
