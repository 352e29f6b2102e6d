import { sendProblem } from '@tidings/chassis'
import { MemberId } from '@tidings/protocol'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

const Query = z.object({ memberId: MemberId })

/** Adds `GET /session?memberId=` to the ops port: the member's sessions with their subscriptions and the bytes they have buffered. */
export function addSessionRoute(ops: FastifyInstance, sessions: Sessions): void {
  ops.get('/session', async (request, reply) => {
    const query = Query.safeParse(request.query)
    if (!query.success) return sendProblem(reply, 400, 'memberId must be a member id')
    return { sessions: sessions.of(query.data.memberId).map(describe) }
  })
}

function describe({ id, requestId, principal, version, connectedAt, clock, transport, subscriptions }: Session) {
  return {
    sessionId: id,
    requestId,
    memberId: principal.memberId,
    version,
    connectedAt: new Date(connectedAt).toISOString(),
    lastActivityAt: new Date(clock.lastActivityAt).toISOString(),
    expiresAt: new Date(principal.expiresAt * 1_000).toISOString(),
    bufferedBytes: transport.bufferedBytes,
    subscriptions: [...subscriptions.values()].map((subscription) => ({
      id: subscription.id,
      destination: subscription.destination,
      ack: subscription.ackMode,
      unackedMessages: subscription.unackedMessages,
    })),
  }
}
