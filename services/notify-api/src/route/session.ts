import { tokenHashOf } from '@tidings/chassis'
import { NoBody, RevokeSession, SessionList, SessionPath } from '@tidings/protocol'
import { z } from 'zod'
import { audit } from '../http/audit.ts'
import { memberOf, tokenOf } from '../http/caller.ts'
import { memberSecurity, problemResponses, serviceSecurity } from '../http/document.ts'
import { Problem, unavailable } from '../http/problem.ts'
import { type SessionControl, SessionsUnknown, TooManyRevocations } from '../session/session-control.ts'
import type { Api, Guards } from './api.ts'

export interface SessionDeps {
  readonly sessions: Pick<SessionControl, 'revocations' | 'revokeMember' | 'revokeSession' | 'of'>
}

/** Adds the call with which backends revoke tokens. */
export function sessionRoutes(app: Api, guards: Guards, { sessions }: SessionDeps): void {
  app.post(
    '/session/revoke',
    {
      onRequest: guards.backend('session:revoke'),
      schema: {
        operationId: 'revokeSessions',
        summary:
          'Refuse the tokens of a member issued until now, or that of one session, and close the sessions on every gateway',
        security: serviceSecurity('session:revoke'),
        body: RevokeSession,
        response: {
          202: RevokeSession,
          ...problemResponses('missing-scope', 'not-found', 'too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request, reply) => {
      const { memberId, sessionId } = request.body
      if (sessionId === undefined) await orUnavailable(sessions.revokeMember(memberId))
      else if (!(await orUnavailable(sessions.revokeSession(memberId, sessionId)))) throw noSession('body', sessionId)
      audit(request, { memberId, ...(sessionId !== undefined && { sessionId }) })
      return reply.code(202).send(request.body)
    },
  )
}

/** Adds the calls with which members see and end their sessions. */
export function memberSessionRoutes(app: Api, guards: Guards, { sessions }: SessionDeps): void {
  app.get(
    '/session',
    {
      onRequest: guards.memberReads,
      schema: {
        operationId: 'listSessions',
        summary: "The member's sessions, oldest first",
        security: memberSecurity,
        response: { 200: SessionList, ...problemResponses() },
      },
    },
    async (request) => {
      const own = tokenHashOf(tokenOf(request))
      const { sessions: found, complete } = await orUnavailable(sessions.of(memberOf(request)))
      return {
        sessions: found.map(({ sessionId, connectedAt, lastActivityAt, userAgent, tokenHash }) => {
          return { sessionId, connectedAt, lastActivityAt, userAgent, current: tokenHash === own }
        }),
        complete,
      }
    },
  )

  app.post(
    '/session/:sessionId/revoke',
    {
      onRequest: guards.memberWrites,
      schema: {
        operationId: 'revokeOwnSession',
        summary: 'Refuse the token of one of the own sessions, and close the sessions that use it',
        security: memberSecurity,
        params: SessionPath,
        body: NoBody,
        response: { 204: z.null(), ...problemResponses('forbidden-origin', 'not-found', 'too-large', 'unsupported-media-type') },
      },
    },
    async (request, reply) => {
      const { sessionId } = request.params
      const revoked = sessions.revokeSession(memberOf(request), sessionId, tokenHashOf(tokenOf(request)))
      if (!(await orUnavailable(revoked))) throw noSession('path', sessionId)
      audit(request, { sessionId })
      return reply.code(204).send(null)
    },
  )
}

async function orUnavailable<Result>(result: Promise<Result>): Promise<Result> {
  try {
    return await result
  } catch (error) {
    if (error instanceof TooManyRevocations)
      throw unavailable('as many revocations as MAX_REVOCATIONS allows are in force', { cause: error })
    if (error instanceof SessionsUnknown) throw unavailable('Redis does not reply: the sessions are not known', { cause: error })
    throw error
  }
}

function noSession(part: 'body' | 'path', sessionId: string): Problem {
  const detail = `the member has no session ${sessionId}`
  return new Problem('not-found', detail, { errors: [{ in: part, pointer: '#/sessionId', detail }] })
}
