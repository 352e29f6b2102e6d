import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

const Query = z.object({ memberId: z.coerce.number().int().positive() })

/** `GET /session?memberId=` on the ops port: what each session of a member holds and has buffered. */
export function addSessionRoute(ops: FastifyInstance, sessions: Sessions): void {
  ops.get('/session', async (request, reply) => {
    const query = Query.safeParse(request.query)
    if (!query.success) return reply.code(400).send({ error: 'memberId must be a member id' })
    return { sessions: sessions.of(query.data.memberId).map(describe) }
  })
}

function describe(session: Session) {
  return {
    sessionId: session.id,
    memberId: session.principal.memberId,
    version: session.version,
    connectedAt: new Date(session.connectedAt).toISOString(),
    lastActivityAt: new Date(session.lastActivityAt).toISOString(),
    expiresAt: new Date(session.principal.expiresAt * 1_000).toISOString(),
    bufferedBytes: session.bufferedBytes,
    subscriptions: [...session.subscriptions.values()].map(({ id, destination, ackMode, unackedMessages }) => ({
      id,
      destination,
      ack: ackMode,
      unackedMessages,
    })),
  }
}
