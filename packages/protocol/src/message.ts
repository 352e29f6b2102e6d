import { z } from 'zod'

/** The messages of HTTP, Redis and STOMP bodies (PROTOCOL.md §4, §6). Sizes are in characters unless the name says bytes. */

export const MemberId = z.int().positive().meta({ description: 'A member: a positive integer up to 2^53 - 1.' })
export const NotificationId = z.int().positive().meta({ description: 'A notification: a positive integer up to 2^53 - 1.' })

export const maxMessageLength = 4_000
export const maxRedirectPathLength = 2_048
export const maxMembersPerSend = 1_000

/** Text that UTF-8 can carry: half a character would arrive as something else, and be counted as such. */
export function wholeText(maxLength: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .refine((text) => !/\p{Surrogate}/u.test(text), 'must not hold half of a surrogate pair')
}

const Message = wholeText(maxMessageLength)

/** A path on the application's own origin: one leading slash, so that no `javascript:` and no other host gets in. */
export const RedirectPath = z
  .string()
  .max(maxRedirectPathLength)
  .regex(
    /^\/(?![/\\])[^\\\p{Cc}\p{Cs}]*$/u,
    'must be a path on your own origin: one leading slash, no backslash or control character',
  )

export const maxDataDepth = 16

/** Anything else the application wants to carry along: a JSON object, nested no deeper than `maxDataDepth`. */
const Data = z
  .record(z.string(), z.unknown())
  .refine((data) => isShallow(data, maxDataDepth), `must not be nested deeper than ${maxDataDepth} levels`)

/** Of a value parsed from JSON. Looked at first: code that recurses into a value sent by strangers would overflow. */
export function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1))
}

/** What a member's browsers get for one notification, on `/member/queue/notification`. */
export const NotificationMessage = z.object({
  memberId: MemberId,
  notificationId: NotificationId,
  message: Message,
  redirectPath: RedirectPath,
  data: Data.optional(),
})
export type NotificationMessage = z.infer<typeof NotificationMessage>

/** What every browser gets for one broadcast, on `/topic/all`. */
export const BroadcastMessage = NotificationMessage.omit({ memberId: true })
export type BroadcastMessage = z.infer<typeof BroadcastMessage>

/** `POST /notification/send`: to one member (`memberId`) or to several (`memberIds`). */
export const SendNotification = z
  .strictObject({
    memberId: MemberId.optional(),
    memberIds: z.array(MemberId).min(1).max(maxMembersPerSend).optional(),
    message: Message,
    redirectPath: RedirectPath,
    data: Data.optional(),
  })
  .refine((body) => (body.memberId === undefined) !== (body.memberIds === undefined), {
    path: ['memberId'],
    error: 'give either memberId or memberIds',
  })
  .meta({ oneOf: [{ required: ['memberId'] }, { required: ['memberIds'] }] })
export type SendNotification = z.infer<typeof SendNotification>

/** One stored notification. `online`: a gateway listens for this member; null when Redis did not answer. */
export const SentNotification = z.object({ notificationId: NotificationId, memberId: MemberId, online: z.boolean().nullable() })
export type SentNotification = z.infer<typeof SentNotification>

/** `POST /notification/send` with `memberIds`: in their order. */
export const SentNotifications = z.object({ notifications: z.array(SentNotification) })
export type SentNotifications = z.infer<typeof SentNotifications>

/** `POST /notification/broadcast`: to everybody. */
export const SendBroadcast = z.strictObject({ message: Message, redirectPath: RedirectPath, data: Data.optional() })
export type SendBroadcast = z.infer<typeof SendBroadcast>

export const SentBroadcast = z.object({ notificationId: NotificationId })
export type SentBroadcast = z.infer<typeof SentBroadcast>

/** One line of the inbox. A broadcast has no `memberId`. */
export const InboxItem = NotificationMessage.extend({
  memberId: MemberId.optional(),
  createdAt: z.iso.datetime(),
  readAt: z.iso.datetime().nullable(),
})
export type InboxItem = z.infer<typeof InboxItem>

/** `GET /notification`: newest first. `nextCursor`: the `before` of the next page; null on the last. */
export const InboxPage = z.object({ items: z.array(InboxItem), nextCursor: NotificationId.nullable() })
export type InboxPage = z.infer<typeof InboxPage>

/** `revision`: of the member's read state (see {@link ReadMessage}); 0 before anything was read. */
export const UnreadCount = z.object({ unreadCount: z.int().nonnegative(), revision: z.int().nonnegative() })
export type UnreadCount = z.infer<typeof UnreadCount>

/** `POST /notification/read-all`: everything up to and including this one. */
export const ReadAll = z.strictObject({ upTo: NotificationId })
export type ReadAll = z.infer<typeof ReadAll>

/** `POST /session/revoke`: closes this member's sessions on every gateway. */
export const RevokeSession = z.strictObject({ memberId: MemberId })
export type RevokeSession = z.infer<typeof RevokeSession>

/** What a member's devices get when read state changes, on `/member/queue/read`. */
export const ReadMessage = z.object({
  memberId: MemberId,
  /** The one that was read; absent when all up to `upTo` were. */
  notificationId: NotificationId.optional(),
  /** All up to and including this one were read. */
  upTo: NotificationId.optional(),
  readAt: z.iso.datetime(),
  /** Authoritative: what `GET /notification/unread-count` answers at this revision. */
  unreadCount: z.int().nonnegative(),
  /** Grows with every change of this member's read state: an event with a smaller one is out of date. */
  revision: z.int().positive(),
})
export type ReadMessage = z.infer<typeof ReadMessage>

/** The gateway's own word to one session, on `/member/queue/session`. */
export const SessionMessage = z.discriminatedUnion('type', [
  /** Publications of this destination were lost for good: read the state over HTTP. */
  z.object({ type: z.literal('gap'), destination: z.string() }),
  /** The token ends soon; Unix seconds. */
  z.object({ type: z.literal('expiring'), expiresAt: z.int() }),
  /** This session is about to be closed with 1012: come back after this delay. */
  z.object({ type: z.literal('draining'), reconnectAfterMs: z.int().nonnegative() }),
])
export type SessionMessage = z.infer<typeof SessionMessage>

/** A refused SEND, on `/member/queue/error`: the problem of the HTTP call it stands for (RFC 9457). */
export const ErrorMessage = z.object({
  /** Where the SEND went. */
  destination: z.string(),
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
})
export type ErrorMessage = z.infer<typeof ErrorMessage>

/** Orders to all gateways, on the channel `gateway:control`. */
export const ControlMessage = z.discriminatedUnion('type', [z.object({ type: z.literal('revoke'), memberId: MemberId })])
export type ControlMessage = z.infer<typeof ControlMessage>
