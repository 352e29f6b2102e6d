import {
  broadcastChannel,
  type MemberId,
  type MessageDestination,
  memberChannel,
  messageDestination,
  SendMessage,
  SendMessageResult,
  type SentMessages,
  tracedBody,
} from '@tidings/protocol'
import { audit } from '../http/audit.ts'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import { Problem, unavailable } from '../http/problem.ts'
import { traceOf } from '../http/trace.ts'
import type { PublishFailure } from '../outbox/publish-failure.ts'
import type { Publisher } from '../outbox/redis-publisher.ts'
import type { Api, Guards } from './api.ts'

export interface MessageDeps {
  readonly publisher: Pick<Publisher, 'append'>
}

/** What became of one message: its position, or why it was not accepted. */
type MessageOutcome = string | PublishFailure

/** Adds the call with which backends send messages that are not notifications: published, and not stored. */
export function messageRoute(app: Api, guards: Guards, { publisher }: MessageDeps, maxSendBytes: number): void {
  app.post(
    '/message',
    {
      onRequest: guards.backend('message:send'),
      schema: {
        operationId: 'sendMessage',
        summary: 'Publish any JSON value to a topic, or to a queue of several members',
        security: serviceSecurity('message:send'),
        body: SendMessage,
        response: {
          202: SendMessageResult,
          ...problemResponses('missing-scope', 'too-large', 'unsupported-media-type', 'channel-refused'),
        },
      },
    },
    async (request, reply) => {
      const { destination, memberIds, body } = request.body
      const text = JSON.stringify(body)
      const channels = channelsOf(messageDestination(destination) as MessageDestination, memberIds)
      refuseTooLarge(channels.length * Buffer.byteLength(text), maxSendBytes)
      const published = tracedBody(traceOf(request).traceparent, text)
      const outcomes = await Promise.all(channels.map((channel) => publisher.append(channel, published)))
      refuseUnlessAccepted(outcomes)
      const accepted = outcomes.filter((outcome) => typeof outcome === 'string').length
      audit(request, { destination, ...(memberIds && { members: memberIds.length, accepted }) })
      return reply.code(202).send(memberIds ? { messages: sentTo(memberIds, outcomes) } : { position: outcomes[0] as string })
    },
  )
}

function channelsOf(destination: MessageDestination, memberIds: readonly MemberId[] = []): string[] {
  return 'topic' in destination
    ? [broadcastChannel(destination.topic)]
    : memberIds.map((memberId) => memberChannel(memberId, destination.queue))
}

function sentTo(memberIds: readonly MemberId[], outcomes: readonly MessageOutcome[]): SentMessages['messages'] {
  return memberIds.map((memberId, index) => {
    const outcome = outcomes[index] as MessageOutcome
    if (typeof outcome === 'string') return { memberId, position: outcome }
    return { memberId, error: outcome.away ? 'unavailable' : 'refused' }
  })
}

function refuseTooLarge(bytes: number, maxSendBytes: number): void {
  if (bytes <= maxSendBytes) return
  throw new Problem('too-large', `This would publish ${bytes} bytes; one call may publish ${maxSendBytes}.`, {
    errors: [{ in: 'body', pointer: '#/memberIds', detail: 'too many members for a body of this size' }],
  })
}

/** Throws if no message was accepted. */
function refuseUnlessAccepted(outcomes: readonly MessageOutcome[]): void {
  const failures = outcomes.flatMap((outcome) => (typeof outcome === 'string' ? [] : [outcome]))
  if (failures.length < outcomes.length) return
  const away = failures.find((failure) => failure.away)
  if (away) throw unavailable('Redis does not answer: repeat. Nothing was accepted.', { cause: new Error(away.reason) })
  throw new Problem('channel-refused', 'The ACL of Redis does not permit the channel of the destination.', {
    errors: [{ in: 'body', pointer: '#/destination', detail: 'is not permitted by the ACL of Redis' }],
    cause: new Error(failures[0]?.reason),
  })
}
