import { SendBroadcast, SendNotification, SentBroadcast, SendNotificationResult } from '@tidings/protocol'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { audit, type AuditFields } from '../http/audit.ts'
import { callerOf } from '../http/caller.ts'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import { Problem } from '../http/problem.ts'
import { traceOf } from '../http/trace.ts'
import { hashKey, type IdempotencyKey } from '../notification/idempotency-key.ts'
import type { Sender } from '../notification/sender.ts'
import type { Api, Guards } from './api.ts'

export interface NotificationDeps {
  readonly sender: Pick<Sender, 'send' | 'broadcast'>
}

const IdempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
    .optional()
    .meta({ description: 'The same key and body return the first response again, for 24 hours.' }),
})

/** Adds the calls with which backends send. */
export function notificationRoutes(app: Api, guards: Guards, { sender }: NotificationDeps, maxSendBytes: number): void {
  app.post(
    '/notification/send',
    {
      onRequest: guards.backend('notification:send'),
      schema: {
        operationId: 'sendNotification',
        summary: 'Store a notification for one member, or the same for several, and deliver it',
        security: serviceSecurity('notification:send'),
        headers: IdempotencyHeaders,
        body: SendNotification,
        response: {
          201: SendNotificationResult,
          ...problemResponses('missing-scope', 'still-running', 'too-large', 'unsupported-media-type', 'key-reused'),
        },
      },
    },
    async (request, reply) => {
      refuseTooLarge(request.body, maxSendBytes)
      const key = keyOf(request, request.body, request.headers['idempotency-key'], 'POST /notification/send')
      const { response, replayed } = await sender.send(request.body, key, traceOf(request).traceparent)
      if (replayed) reply.header('idempotent-replay', 'true')
      const [first, ...others] = 'notifications' in response ? response.notifications : [response]
      auditSent(request, { members: others.length + 1, notificationId: first?.notificationId }, replayed)
      return reply.code(201).send(response)
    },
  )

  app.post(
    '/notification/broadcast',
    {
      onRequest: guards.backend('notification:broadcast'),
      schema: {
        operationId: 'broadcastNotification',
        summary: 'Store one notification for all members and deliver it',
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
      const key = keyOf(request, request.body, request.headers['idempotency-key'], 'POST /notification/broadcast')
      const { response, replayed } = await sender.broadcast(request.body, key, traceOf(request).traceparent)
      if (replayed) reply.header('idempotent-replay', 'true')
      auditSent(request, { notificationId: response.notificationId }, replayed)
      return reply.code(201).send(response)
    },
  )
}

function auditSent(request: FastifyRequest, fields: AuditFields, replayed: boolean): void {
  audit(request, replayed ? { ...fields, replayed } : fields)
}

function keyOf(
  request: FastifyRequest,
  body: SendNotification | SendBroadcast,
  header: string | undefined,
  call: string,
): IdempotencyKey | undefined {
  return header === undefined ? undefined : hashKey(callerOf(request).id, header, call, body)
}

function refuseTooLarge(notification: SendNotification, maxSendBytes: number): void {
  if (notification.memberIds === undefined || notification.memberIds.length === 1) return
  const { memberIds, memberId: _, ...content } = notification
  const bytes = memberIds.length * Buffer.byteLength(JSON.stringify(content))
  if (bytes <= maxSendBytes) return
  throw new Problem('too-large', `This would store ${bytes} bytes; one send may store ${maxSendBytes}.`, {
    errors: [{ in: 'body', pointer: '#/memberIds', detail: 'too many members for content of this size' }],
  })
}
