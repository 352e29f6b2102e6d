import { SendBroadcast, SendNotification, SentBroadcast, SentNotification, SentNotifications } from '@tidings/protocol'
import { z } from 'zod'
import { callerOf } from '../http/caller.ts'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import type { Idempotency } from '../notification/idempotency.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { Problem } from '../http/problem.ts'
import type { NotificationStore } from '../notification/store.ts'
import { channelOf, everybody } from '../notification/write-group.ts'
import type { Api, Doors } from './api.ts'

export interface NotificationParts {
  readonly notifications: Pick<NotificationStore, 'add' | 'idsFrom'>
  readonly outbox: Pick<Outbox, 'publish' | 'listening'>
  readonly idempotency: Idempotency
}

const IdempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
    .optional()
    .meta({ description: 'The same key and body get the first answer again, for 24 hours.' }),
})

/** What backends post. */
export function notificationRoutes(
  app: Api,
  doors: Doors,
  { notifications, outbox, idempotency }: NotificationParts,
  maxSendBytes: number,
): void {
  app.post(
    '/notification/send',
    {
      onRequest: doors.backend('notification:send'),
      schema: {
        summary: 'Store a notification for one member, or the same for several, and deliver it',
        security: serviceSecurity('notification:send'),
        headers: IdempotencyHeaders,
        body: SendNotification,
        response: {
          201: z.union([SentNotification, SentNotifications]),
          ...problemResponses('missing-scope', 'still-running', 'too-large', 'unsupported-media-type', 'key-reused'),
        },
      },
    },
    async (request, reply) => {
      const { memberId, memberIds, ...content } = request.body
      const recipients = memberIds ?? [memberId as number]
      refuseTooLarge(recipients, content, maxSendBytes)
      const answerOf = (notificationIds: readonly number[], listening: readonly (boolean | null)[]) => {
        const sent = recipients.map((recipient, index) => ({
          notificationId: notificationIds[index] as number,
          memberId: recipient,
          online: listening[index] ?? null,
        }))
        return memberIds ? { notifications: sent } : (sent[0] as SentNotification)
      }
      const { answer, replayed } = await idempotency.answer(
        {
          caller: callerOf(request).id,
          key: request.headers['idempotency-key'],
          call: 'POST /notification/send',
          body: request.body,
        },
        {
          carryOut: async (once) => {
            // Asked while the database commits. What is committed is published in any case: no answer waits for it.
            const listening = outbox.listening(recipients.map(channelOf))
            const { notificationIds, outboxRows } = await notifications.add({ memberIds: recipients, ...content, once })
            void outbox.publish(outboxRows)
            return answerOf(notificationIds, await listening)
          },
          rebuild: (first) => answerOf(notifications.idsFrom(first, recipients.length), []),
        },
      )
      if (replayed) reply.header('idempotent-replay', 'true')
      return reply.code(201).send(answer)
    },
  )

  app.post(
    '/notification/broadcast',
    {
      onRequest: doors.backend('notification:broadcast'),
      schema: {
        summary: 'Store one notification for everybody and deliver it',
        security: serviceSecurity('notification:broadcast'),
        headers: IdempotencyHeaders,
        body: SendBroadcast,
        response: {
          201: SentBroadcast,
          ...problemResponses('missing-scope', 'still-running', 'too-large', 'unsupported-media-type', 'key-reused'),
        },
      },
    },
    async (request, reply) => {
      const { answer, replayed } = await idempotency.answer(
        {
          caller: callerOf(request).id,
          key: request.headers['idempotency-key'],
          call: 'POST /notification/broadcast',
          body: request.body,
        },
        {
          carryOut: async (once) => {
            const { notificationIds, outboxRows } = await notifications.add({ memberIds: [everybody], ...request.body, once })
            void outbox.publish(outboxRows)
            return { notificationId: notificationIds[0] as number }
          },
          rebuild: (notificationId) => ({ notificationId }),
        },
      )
      if (replayed) reply.header('idempotent-replay', 'true')
      return reply.code(201).send(answer)
    },
  )
}

function refuseTooLarge(recipients: readonly number[], content: object, maxSendBytes: number): void {
  if (recipients.length === 1) return
  const bytes = recipients.length * Buffer.byteLength(JSON.stringify(content))
  if (bytes <= maxSendBytes) return
  throw new Problem('too-large', `This would store ${bytes} bytes; one send may store ${maxSendBytes}.`, {
    errors: [{ in: 'body', pointer: '#/memberIds', detail: 'too many members for content of this size' }],
  })
}
