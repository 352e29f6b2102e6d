import { type ControlMessage, controlChannel, RevokeSession } from '@tidings/protocol'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { OutboxStore } from '../outbox/store.ts'
import type { Api, Guards } from './api.ts'

export interface SessionDeps {
  readonly outboxStore: OutboxStore
  readonly outbox: Pick<Outbox, 'publish'>
}

/** Adds the calls that control gateways. Control messages go through the outbox: an outage of Redis delays them and loses none. */
export function sessionRoutes(app: Api, guards: Guards, { outboxStore, outbox }: SessionDeps): void {
  app.post(
    '/session/revoke',
    {
      onRequest: guards.backend('session:revoke'),
      schema: {
        summary: "Close a member's sessions on every gateway",
        security: serviceSecurity('session:revoke'),
        body: RevokeSession,
        response: { 202: RevokeSession, ...problemResponses('missing-scope', 'too-large', 'unsupported-media-type') },
      },
    },
    async (request, reply) => {
      const { memberId } = request.body
      const message: ControlMessage = { type: 'revoke', memberId }
      await outbox.publish([await outboxStore.add(controlChannel, JSON.stringify(message))])
      return reply.code(202).send({ memberId })
    },
  )
}
