import {
  DeleteNotificationResult,
  InboxPage,
  MarkReceived,
  MarkSeen,
  maxKindsPerCount,
  type MemberId,
  MemberList,
  InboxCounts,
  NoBody,
  NotificationKind,
  ReadAll,
  ReadAllResult,
  UnreadCount,
  UnreadCounts,
} from '@tidings/protocol'
import { z } from 'zod'
import { audit } from '../http/audit.ts'
import { callerOf, memberOf } from '../http/caller.ts'
import { memberSecurity, problemResponses, serviceSecurity } from '../http/document.ts'
import type { InboxChange } from '../notification/inbox-change.ts'
import { PerMemberQueue } from '../notification/per-member-queue.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { Problem } from '../http/problem.ts'
import type { InboxStore } from '../notification/inbox-store.ts'
import type { Mark, ReadChange, ReadStore } from '../notification/read-store.ts'
import type { Api, Guards } from './api.ts'

export interface InboxDeps {
  readonly inbox: InboxStore
  readonly reads: ReadStore
  readonly outbox: Pick<Outbox, 'publish'>
}

const Flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

const PageQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  before: z.coerce.number().int().positive().optional().meta({ description: 'nextCursor of the previous page' }),
  unread: Flag,
  archived: Flag,
  kind: NotificationKind.optional(),
})

const kindForm = '[A-Za-z0-9][A-Za-z0-9._-]{0,63}'
const CountQuery = z.strictObject({
  kinds: z
    .string()
    .meta({ pattern: `^${kindForm}(,${kindForm})*$` })
    .transform((text) => [...new Set(text.split(','))])
    .pipe(z.array(NotificationKind).max(maxKindsPerCount))
    .optional()
    .meta({ description: `up to ${maxKindsPerCount} kinds, separated by commas, whose counts are also returned` }),
})

const NotificationParams = z.object({ id: z.coerce.number().int().positive() })

/** The calls that change one notification. */
const changeCalls = [
  ['read', 'markNotificationRead', "Mark one notification as read and publish it to the member's devices"],
  ['unread', 'markNotificationUnread', "Mark one notification as unread and publish it to the member's devices"],
  ['archive', 'archiveNotification', "Archive one notification and publish it to the member's devices"],
  ['unarchive', 'unarchiveNotification', "Return one notification from the archive and publish it to the member's devices"],
] as const satisfies [change: InboxChange, operationId: string, summary: string][]

/** Adds the calls with which members read and change their inbox. */
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

  async function changeOne(memberId: MemberId, id: number, change: InboxChange): Promise<UnreadCount> {
    const changed = await publishChange(memberId, () => reads.change(memberId, id, change))
    if (changed) return changed.state
    throw new Problem('not-found', 'There is no such notification.', {
      errors: [{ in: 'path', pointer: '#/id', detail: 'is no notification of this member' }],
    })
  }

  async function mark(memberId: MemberId, what: Mark): Promise<ReadAllResult> {
    const step = () => publishChange(memberId, () => reads.mark(memberId, what))
    const newest = await step()
    let last = newest
    while (last.more) last = await step()
    return { ...last.state, notificationIds: [...newest.notificationIds] }
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
        summary: 'The numbers of unread and of unseen notifications',
        security: memberSecurity,
        querystring: CountQuery,
        response: { 200: InboxCounts, ...problemResponses() },
      },
    },
    (request) => inbox.unread(memberOf(request), request.query.kinds),
  )

  for (const [change, operationId, summary] of changeCalls) {
    app.post(
      `/notification/:id/${change}`,
      {
        onRequest: guards.memberWrites,
        schema: {
          operationId,
          summary,
          security: memberSecurity,
          params: NotificationParams,
          body: NoBody,
          response: {
            200: UnreadCount,
            ...problemResponses('forbidden-origin', 'not-found', 'too-large', 'unsupported-media-type'),
          },
        },
      },
      (request) => changeOne(memberOf(request), request.params.id, change),
    )
  }

  app.delete(
    '/notification/:id',
    {
      onRequest: guards.backendOrMemberWrites('notification:recall'),
      schema: {
        operationId: 'deleteNotification',
        summary: 'Delete one notification: a member from its inbox, a backend from the inboxes of all members that have it',
        security: [...memberSecurity, ...serviceSecurity('notification:recall')],
        params: NotificationParams,
        response: {
          200: DeleteNotificationResult,
          ...problemResponses('forbidden-origin', 'missing-scope', 'too-large', 'unsupported-media-type'),
        },
      },
    },
    async (request) => {
      const { memberId } = callerOf(request)
      const { id } = request.params
      if (memberId !== undefined) return changeOne(memberId, id, 'remove')
      const event = await reads.recall(id)
      if (event) {
        await outbox.publish([event])
        audit(request, { notificationId: id })
      }
      return { recalled: event !== undefined }
    },
  )

  app.post(
    '/notification/seen',
    {
      onRequest: guards.memberWrites,
      schema: {
        operationId: 'markAllNotificationsSeen',
        summary: "Mark every notification up to one as seen and publish it to the member's devices",
        security: memberSecurity,
        body: MarkSeen,
        response: { 200: ReadAllResult, ...problemResponses('forbidden-origin', 'too-large', 'unsupported-media-type') },
      },
    },
    (request) => mark(memberOf(request), { ...request.body, as: 'seen' }),
  )

  app.post(
    '/notification/received',
    {
      onRequest: guards.memberWrites,
      schema: {
        operationId: 'markNotificationsReceived',
        summary: 'Report own notifications that a device has received, so that they are not pushed; nothing is published',
        security: memberSecurity,
        body: MarkReceived,
        response: { 204: z.null(), ...problemResponses('forbidden-origin', 'too-large', 'unsupported-media-type') },
      },
    },
    async (request, reply) => {
      await reads.markReceived(memberOf(request), request.body.notificationIds)
      return reply.code(204).send(null)
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
    (request) => mark(memberOf(request), { ...request.body, as: 'read' }),
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
