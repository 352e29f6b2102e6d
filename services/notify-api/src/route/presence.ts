import { MemberList, Presence } from '@tidings/protocol'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import { unavailable } from '../http/problem.ts'
import { channelOf } from '../notification/published-body.ts'
import type { Publisher } from '../outbox/redis-publisher.ts'
import type { Api, Guards } from './api.ts'

export interface PresenceDeps {
  readonly publisher: Pick<Publisher, 'listening'>
}

/** Adds the call with which backends read which members are online. */
export function presenceRoute(app: Api, guards: Guards, { publisher }: PresenceDeps): void {
  app.post(
    '/presence',
    {
      onRequest: guards.backend('presence:read'),
      schema: {
        operationId: 'listPresence',
        summary: 'Whether several members are online',
        security: serviceSecurity('presence:read'),
        body: MemberList,
        response: { 200: Presence, ...problemResponses('missing-scope', 'too-large', 'unsupported-media-type') },
      },
    },
    async ({ body: { memberIds } }) => {
      const online = await publisher.listening(memberIds.map(channelOf)).catch((error: unknown) => {
        throw unavailable('Redis does not answer: repeat.', { cause: error })
      })
      return { members: memberIds.map((memberId, index) => ({ memberId, online: online[index] ?? null })) }
    },
  )
}
