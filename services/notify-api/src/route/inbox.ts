import {
  InboxPage,
  type MemberId,
  MemberList,
  MemberUnreadCount,
  NoBody,
  ReadAll,
  ReadAllResult,
  UnreadCount,
  UnreadCounts,
} from '@tidings/protocol'
import { z } from 'zod'
import { memberOf } from '../http/caller.ts'
import { memberSecurity, problemResponses, serviceSecurity } from '../http/document.ts'
import { PerMemberQueue } from '../notification/per-member-queue.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { Problem } from '../http/problem.ts'
import type { InboxStore } from '../notification/inbox-store.ts'
import type { ReadChange, ReadStore } from '../notification/read-store.ts'
import type { Api, Guards } from './api.ts'

export interface InboxDeps {
  readonly inbox: InboxStore
  readonly reads: ReadStore
  readonly outbox: Pick<Outbox, 'publish'>
}

const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  before: z.coerce.number().int().positive().optional().meta({ description: 'nextCursor of the previous page' }),
  unread: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true'),
})

const NotificationParams = z.object({ id: z.coerce.number().int().positive() })

/** Adds the calls with which members read their inbox and mark notifications as read. */
export function inboxRoutes(app: Api, guards: Guards, { inbox, reads, outbox }: InboxDeps): void {
  const changes = new PerMemberQueue()

  /**
   * Runs the changes of a member sequentially. The event of a change is published or deferred before the next change begins, so this
   * instance publishes events in the order of their revisions.
   */
  function publishChange<Change extends ReadChange | undefined>(
    memberId: MemberId,
    change: () => Promise<Change>,
  ): Promise<Change> {
    return changes.run(memberId, async () => {
      const changed = await change()
      if (changed?.event) await outbox.publish([changed.event])
      return changed
    })
  }

  app.get(
    '/notification',
    {
      onRequest: guards.memberReads,
      schema: {
        operationId: 'listNotifications',
        summary: 'The inbox, newest first',
        security: memberSecurity,
        querystring: PageQuery,
        response: { 200: InboxPage, ...problemResponses() },
      },
    },
    (request) => inbox.page(memberOf(request), request.query),
  )

  app.get(
    '/notification/unread-count',
    {
      onRequest: guards.memberReads,
      schema: {
        operationId: 'getUnreadCount',
        summary: 'The number of unread notifications',
        security: memberSecurity,
        response: { 200: MemberUnreadCount, ...problemResponses() },
      },
    },
    (request) => inbox.unread(memberOf(request)),
  )

  app.post(
    '/notification/:id/read',
    {
      onRequest: guards.memberWrites,
      schema: {
        operationId: 'markNotificationRead',
        summary: "Mark one notification as read and publish it to the member's devices",
        security: memberSecurity,
        params: NotificationParams,
        body: NoBody,
        response: {
          200: UnreadCount,
          ...problemResponses('forbidden-origin', 'not-found', 'too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request) => {
      const memberId = memberOf(request)
      const change = await publishChange(memberId, () => reads.read(memberId, request.params.id))
      if (change) return change.state
      throw new Problem('not-found', 'There is no such notification.', {
        errors: [{ in: 'path', pointer: '#/id', detail: 'is no notification of this member' }],
      })
    },
  )

  app.post(
    '/notification/read-all',
    {
      onRequest: guards.memberWrites,
      schema: {
        operationId: 'markAllNotificationsRead',
        summary: "Mark every notification up to one as read and publish it to the member's devices",
        security: memberSecurity,
        body: ReadAll,
        response: { 200: ReadAllResult, ...problemResponses('forbidden-origin', 'too-large', 'unsupported-media-type') },
      },
    },
    async (request) => {
      const memberId = memberOf(request)
      const step = () => publishChange(memberId, () => reads.readAll(memberId, request.body.upTo))
      const newest = await step()
      let last = newest
      while (last.more) last = await step()
      return { ...last.state, notificationIds: [...newest.notificationIds] }
    },
  )
}

/** Adds the call with which backends read unread counts. */
export function unreadCountRoute(app: Api, guards: Guards, { inbox }: Pick<InboxDeps, 'inbox'>): void {
  app.post(
    '/notification/unread-count',
    {
      onRequest: guards.backend('notification:read'),
      schema: {
        operationId: 'listUnreadCounts',
        summary: 'The numbers of unread notifications of several members',
        security: serviceSecurity('notification:read'),
        body: MemberList,
        response: { 200: UnreadCounts, ...problemResponses('missing-scope', 'too-large', 'unsupported-media-type') },
      },
    },
    async ({ body }) => ({ members: await inbox.unreadOf(body.memberIds) }),
  )
}
