import { z } from 'zod'

/** The messages of HTTP, Redis and STOMP bodies (PROTOCOL.md §4, §6). Sizes are in characters unless the name says bytes. */

export const MemberId = z.int().positive().meta({ description: 'A member: a positive integer up to 2^53 - 1.' })
export const NotificationId = z.int().positive().meta({ description: 'A notification: a positive integer up to 2^53 - 1.' })

export const maxMessageLength = 4_000
export const maxRedirectPathLength = 2_048
export const maxMembersPerSend = 1_000

const Message = z.string().min(1).max(maxMessageLength)

/** A path on the application's own origin: one leading slash, so that no `javascript:` and no other host gets in. */
const RedirectPath = z
  .string()
  .max(maxRedirectPathLength)
  .regex(/^\/(?![/\\])[^\\\p{Cc}]*$/u, 'must be a path on your own origin: one leading slash, no backslash or control character')

/** Anything else the application wants to carry along. */
const Data = z.record(z.string(), z.json())

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
export type SendNotification = z.infer<typeof SendNotification>

/** One stored notification. `online`: a gateway listens for this member; null when Redis did not answer. */
export const SentNotification = z.object({ notificationId: NotificationId, memberId: MemberId, online: z.boolean().nullable() })
export type SentNotification = z.infer<typeof SentNotification>

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
