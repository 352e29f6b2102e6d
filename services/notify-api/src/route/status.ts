import { NotificationStatus, NotificationStatuses, StatusQuery } from '@tidings/protocol'
import { z } from 'zod'
import { problemResponses, serviceSecurity } from '../http/document.ts'
import { Problem } from '../http/problem.ts'
import type { StatusStore } from '../notification/status-store.ts'
import type { Api, Guards } from './api.ts'

export interface StatusDeps {
  readonly statuses: StatusStore
}

const NotificationParams = z.object({ id: z.coerce.number().int().positive() })

/** Adds the calls with which backends read what became of notifications. */
export function statusRoutes(app: Api, guards: Guards, { statuses }: StatusDeps): void {
  app.get(
    '/notification/:id/status',
    {
      onRequest: guards.backend('notification:status'),
      schema: {
        operationId: 'getNotificationStatus',
        summary: 'Whether a notification was published, received, seen and read, and how it went out',
        security: serviceSecurity('notification:status'),
        params: NotificationParams,
        response: { 200: NotificationStatus, ...problemResponses('missing-scope', 'not-found') },
      },
    },
    async ({ params: { id } }) => {
      const [status] = await statuses.of([id])
      if (status) return status
      throw new Problem('not-found', 'There is no such notification.', {
        errors: [{ in: 'path', pointer: '#/id', detail: 'is no stored notification of one member' }],
      })
    },
  )

  app.post(
    '/notification/status',
    {
      onRequest: guards.backend('notification:status'),
      schema: {
        operationId: 'listNotificationStatuses',
        summary: 'The status of several notifications',
        security: serviceSecurity('notification:status'),
        body: StatusQuery,
        response: { 200: NotificationStatuses, ...problemResponses('missing-scope', 'too-large', 'unsupported-media-type') },
      },
    },
    async ({ body: { notificationIds } }) => {
      const notifications = await statuses.of(notificationIds)
      const known = new Set(notifications.map(({ notificationId }) => notificationId))
      return { notifications, unknown: [...new Set(notificationIds)].filter((id) => !known.has(id)) }
    },
  )
}
