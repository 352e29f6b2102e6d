import { type ControlMessage, controlChannel, RevokeSession } from '@tidings/protocol'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { OutboxStore } from '../outbox/store.ts'
import type { Api, Doors } from './api.ts'

export interface SessionParts {
  readonly outboxStore: OutboxStore
  readonly outbox: Pick<Outbox, 'publish'>
}

/** Orders to the gateways. They go through the outbox, so that an outage of Redis delays them and does not lose them. */
export function sessionRoutes(app: Api, doors: Doors, { outboxStore, outbox }: SessionParts): void {
  app.post(
    '/session/revoke',
    {
      onRequest: doors.backend('session:revoke'),
      schema: {
        summary: "Close a member's sessions on every gateway",
        security: serviceSecurity('session:revoke'),
        body: RevokeSession,
        response: { 202: RevokeSession, ...problemResponses('missing-scope', 'too-large', 'unsupported-media-type') },
      },
    },
    async (request, reply) => {
      const { memberId } = request.body
      const order: ControlMessage = { type: 'revoke', memberId }
      await outbox.publish([await outboxStore.add(controlChannel, JSON.stringify(order))])
      return reply.code(202).send({ memberId })
    },
  )
}
