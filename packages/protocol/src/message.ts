import { z } from 'zod'
import {
  messageDestination,
  messageDestinationPattern,
  messageDestinations,
  messageQueuePattern,
  messageTopicPattern,
} from './destination.ts'
import { documentedAs } from './documented-as.ts'
import { MemberId } from './member-id.ts'

// Schemas of the bodies of HTTP, Redis and STOMP (PROTOCOL.md §4, §6). A length is in UTF-16 code units, unless its name ends in
// `Bytes`. The OpenAPI document of notify-api names each exported schema after its export.

/** Id of a stored notification or broadcast. */
export const NotificationId = z.int().positive().meta({ description: 'A notification: a positive integer up to 2^53 - 1.' })

/** Longest text of a notification, and longest `error` of a task. */
export const maxMessageLength = 4_000
/** Longest `redirectPath`. */
export const maxRedirectPathLength = 2_048
/** Largest number of `memberIds` in one call. */
export const maxMembersPerSend = 1_000

const unpairedSurrogate = /\p{Surrogate}/u
const noUnpairedSurrogate = 'must not contain an unpaired surrogate'

/**
 * Returns the schema of a non-empty text without unpaired surrogates. UTF-8 cannot encode an unpaired surrogate: the receiver
 * would get another character, with another length in bytes.
 */
export function wholeText(maxLength: number): z.ZodString {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .refine((text) => !unpairedSurrogate.test(text), noUnpairedSurrogate)
}

const Message = wholeText(maxMessageLength)

/**
 * A path on the application's own origin. It begins with exactly one slash and contains no backslash and no control character, so
 * that a browser resolves it neither to another host nor to another scheme such as `javascript:`. It still begins with one slash where a
 * router removes `.` and `..` first.
 */
export const RedirectPath = z
  .string()
  .max(maxRedirectPathLength)
  .regex(
    /^\/(?![/\\])[^\\\p{Cc}\p{Cs}]*$/u,
    'must be a path on your own origin: one leading slash, no backslash or control character',
  )
  .refine((path) => !path.includes('//') || !hidesLeadingSlashes(path), 'must not become a path with two leading slashes')
  // The same without Unicode properties, which regular expressions of other languages lack: JSON in UTF-8 has no surrogates.
  .meta({ pattern: String.raw`^/([^/\\\x00-\x1f\x7f-\x9f][^\\\x00-\x1f\x7f-\x9f]*)?$` })

/** Returns whether a path begins with two slashes once its dot segments, also encoded ones, are removed (RFC 3986 §5.2.4). */
function hidesLeadingSlashes(path: string): boolean {
  const base = 'https://host.invalid'
  return URL.canParse(path, base) && new URL(path, base).pathname.startsWith('//')
}

/** Deepest nesting of `data` and `result`. */
export const maxDataDepth = 16

/** Application data of a notification: a JSON object. */
const Data = z.record(z.string(), z.unknown()).superRefine(checkData)

/** Adds an issue for what cannot be stored of a value parsed from JSON: too deep nesting, or a text that UTF-8 cannot encode. */
export function checkData(data: unknown, context: z.core.$RefinementCtx): void {
  const add = (message: string, path: PropertyKey[]) => context.addIssue({ code: 'custom', message, path })
  if (!isShallow(data, maxDataDepth)) return add(`must not be nested deeper than ${maxDataDepth} levels`, [])
  const path = pathOfUnpairedSurrogate(data)
  if (path) add(noUnpairedSurrogate, path)
}

/**
 * Returns whether a value parsed from JSON is nested at most `levels` deep. It stops at that depth. Check it before any other
 * code recurses into the value of an untrusted caller, which could overflow the stack.
 */
export function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1))
}

/** Returns the path of the first text or key with an unpaired surrogate. */
function pathOfUnpairedSurrogate(value: unknown): PropertyKey[] | undefined {
  if (typeof value === 'string') return unpairedSurrogate.test(value) ? [] : undefined
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, inner] of Object.entries(value)) {
    if (unpairedSurrogate.test(key)) return [key]
    const path = pathOfUnpairedSurrogate(inner)
    if (path) return [key, ...path]
  }
  return undefined
}

/** Kind of a notification, chosen by the application: inboxes are filtered and counted by it. */
export const NotificationKind = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be a name of 1 to 64 characters A-Z a-z 0-9 . _ -, beginning with a letter or digit',
  )

/** Notifications of one member with the same key replace each other while they are open. */
const CollapseKey = z.string().regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters without spaces')

/** What a backend gives of each notification. */
const content = {
  message: Message,
  redirectPath: RedirectPath.optional(),
  data: Data.optional(),
  kind: NotificationKind.optional(),
  /** From then on it is neither listed nor counted. */
  expiresAt: z.iso.datetime().optional(),
}

/** A notification for one member, on `/member/queue/notification`. */
export const NotificationMessage = z.object({
  memberId: MemberId,
  notificationId: NotificationId,
  ...content,
  /** Number of notifications that this one stands for. Absent for a single one. */
  count: z.int().min(2).optional(),
  /** The notification that this one replaces: it was unread, and is no longer stored. */
  replacedId: NotificationId.optional(),
})
export type NotificationMessage = z.infer<typeof NotificationMessage>

/** A notification for all members, on `/topic/all`. */
export const BroadcastMessage = NotificationMessage.omit({ memberId: true, count: true, replacedId: true })
export type BroadcastMessage = z.infer<typeof BroadcastMessage>

const MemberIds = z.array(MemberId).min(1).max(maxMembersPerSend)

/** Request of `POST /notification/broadcast`, for all members. */
export const SendBroadcast = z.strictObject(content)
export type SendBroadcast = z.infer<typeof SendBroadcast>

/** How soon a push service wakes a device for a push (RFC 8030 §5.3). */
export const Urgency = z.enum(['very-low', 'low', 'normal', 'high'])
export type Urgency = z.infer<typeof Urgency>

/** Longest `afterSeconds`: a week. */
export const maxEscalationSeconds = 604_800

/** How a notification goes out that reaches no open tab: by push, by webhook, or by both. At least one of the two is true. */
export const Escalate = z
  .strictObject({
    /** To the member's devices, for what none of them has received. */
    push: z.boolean().optional(),
    /** To the webhook of the installation, for what the member has not seen. */
    webhook: z.boolean().optional(),
    /** Time from the send to the webhook; without a webhook, to the push. */
    afterSeconds: z.int().min(0).max(maxEscalationSeconds).optional(),
    urgency: Urgency.optional(),
  })
  .refine(({ push, webhook }) => push === true || webhook === true, { path: ['push'], error: 'push or webhook must be true' })
export type Escalate = z.infer<typeof Escalate>

/** An {@link Escalate}, or false, which turns off what the configuration sets for the kind. */
export const EscalateOrOff = z.union([Escalate, z.literal(false)], 'must be false or an object')
export type EscalateOrOff = z.infer<typeof EscalateOrOff>

const sendContent = { ...content, collapseKey: CollapseKey.optional(), escalate: EscalateOrOff.optional() }

/** A {@link SendNotification} for one member. */
export const SendToMember = z.strictObject({ memberId: MemberId, ...sendContent })
/** A {@link SendNotification} for several members. */
export const SendToMembers = z.strictObject({ memberIds: MemberIds, ...sendContent })

/**
 * Request of `POST /notification/send`, for one member (`memberId`) or several (`memberIds`). Exactly one of the two is present. One object
 * rather than a union, so that a refusal names the field that is wrong.
 */
export const SendNotification = z
  .strictObject({ memberId: MemberId.optional(), memberIds: MemberIds.optional(), ...sendContent })
  .refine((body) => (body.memberId === undefined) !== (body.memberIds === undefined), {
    path: ['memberId'],
    error: 'give either memberId or memberIds',
  })
export type SendNotification = z.infer<typeof SendNotification>
documentedAs.set(SendNotification, z.xor([SendToMember, SendToMembers]))

/**
 * One stored notification: the response of `POST /notification/send` with `memberId`. `online` is true if a gateway has
 * received its publication, and null if it is not published yet.
 */
export const SentNotification = z.object({ notificationId: NotificationId, memberId: MemberId, online: z.boolean().nullable() })
export type SentNotification = z.infer<typeof SentNotification>

/** Response of `POST /notification/send` with `memberIds`, in the order of `memberIds`. */
export const SentNotifications = z.object({ notifications: z.array(SentNotification) })
export type SentNotifications = z.infer<typeof SentNotifications>

/** Response of `POST /notification/send`. */
export const SendNotificationResult = z.union([SentNotification, SentNotifications])
// One object: generated Java clients read every response as the first schema of a union.
documentedAs.set(SendNotificationResult, SentNotification.extend(SentNotifications.shape).partial())

/** Response of `POST /notification/broadcast`. */
export const SentBroadcast = z.object({ notificationId: NotificationId })
export type SentBroadcast = z.infer<typeof SentBroadcast>

const MessageBody = z.unknown().superRefine(checkData).meta({ description: 'Any JSON value.' })

/** A {@link SendMessage} to a topic. */
export const SendToTopic = z.strictObject({
  destination: z
    .string()
    .regex(messageTopicPattern)
    .meta({ examples: ['/topic/order.17'] }),
  body: MessageBody,
})
/** A {@link SendMessage} to a queue of each of `memberIds`. */
export const SendToQueue = z.strictObject({
  destination: z
    .string()
    .regex(messageQueuePattern)
    .meta({ examples: ['/member/queue/cart'] }),
  memberIds: MemberIds,
  body: MessageBody,
})

/**
 * Request of `POST /message`: any JSON value, to a topic or to a queue of each of `memberIds`. It is published and not stored.
 */
export const SendMessage = z
  .strictObject({
    destination: z.string().regex(messageDestinationPattern, messageDestinations),
    memberIds: MemberIds.optional(),
    body: MessageBody,
  })
  .superRefine(({ destination, memberIds, ...rest }, context) => {
    const add = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const target = messageDestination(destination)
    if (!('body' in rest)) add('body', 'is required: any JSON value')
    if (target && 'queue' in target && !memberIds) add('memberIds', 'is required for a queue')
    if (target && 'topic' in target && memberIds) add('memberIds', 'must be absent for a topic')
  })
export type SendMessage = z.infer<typeof SendMessage>
documentedAs.set(SendMessage, z.xor([SendToTopic, SendToQueue]))

/** A message in the history of its channel: the response of `POST /message` to a topic. */
export const SentMessage = z.object({ position: z.string() })
export type SentMessage = z.infer<typeof SentMessage>

/**
 * A message to one of several members. With `error` it was not accepted: `refused` when Redis does not permit the channel, `unavailable`
 * when Redis did not respond.
 */
export const SentMemberMessage = z.object({
  memberId: MemberId,
  position: z.string().optional(),
  error: z.enum(['refused', 'unavailable']).optional(),
})
export type SentMemberMessage = z.infer<typeof SentMemberMessage>

/** Response of `POST /message` to a queue of members, in the order of `memberIds`. */
export const SentMessages = z.object({ messages: z.array(SentMemberMessage) })
export type SentMessages = z.infer<typeof SentMessages>

/** Response of `POST /message`. */
export const SendMessageResult = z.union([SentMessage, SentMessages])
documentedAs.set(SendMessageResult, SentMessage.extend(SentMessages.shape).partial())

/** Request of the calls without fields: `{}`, or no body. */
export const NoBody = z.strictObject({}).nullish()
documentedAs.set(NoBody, z.strictObject({}))

/** Request of the calls with which a backend asks about members: `POST /presence`, `POST /notification/unread-count`. */
export const MemberList = z.strictObject({ memberIds: MemberIds })
export type MemberList = z.infer<typeof MemberList>

/** Whether a member is online: `online` is that of {@link SentNotification}; null when Redis does not permit the query. */
export const MemberPresence = z.object({ memberId: MemberId, online: z.boolean().nullable() })

/** Response of `POST /presence`, in the order of `memberIds`. */
export const Presence = z.object({ members: z.array(MemberPresence) })
export type Presence = z.infer<typeof Presence>

/** One notification of the inbox. A broadcast has no `memberId`. `readAt` is null while it is unread. What was read was also seen. */
export const InboxItem = NotificationMessage.omit({ replacedId: true }).extend({
  memberId: MemberId.optional(),
  count: z.int().positive(),
  createdAt: z.iso.datetime(),
  readAt: z.iso.datetime().nullable(),
  seen: z.boolean(),
  archived: z.boolean(),
})
export type InboxItem = z.infer<typeof InboxItem>

/** Revision of a member's inbox state, which grows with every change of it; 0 before the first one. */
const Revision = z.int().nonnegative()

/**
 * Response of `GET /notification`, newest first. `nextCursor` is the `before` of the next page; null on the last page. The items include every
 * change up to `revision`.
 */
export const InboxPage = z.object({
  memberId: MemberId,
  items: z.array(InboxItem),
  nextCursor: NotificationId.nullable(),
  revision: Revision,
})
export type InboxPage = z.infer<typeof InboxPage>

const counts = { unreadCount: z.int().nonnegative(), unseenCount: z.int().nonnegative() }

/** Numbers of notifications that are neither archived nor expired. `unseenCount` counts those of the unread ones that were not seen. */
export const UnreadCount = z.object({ ...counts, revision: Revision })
export type UnreadCount = z.infer<typeof UnreadCount>

/** Most kinds that one call counts. */
export const maxKindsPerCount = 20

/** The counts of one member. */
export const MemberUnreadCount = UnreadCount.extend({ memberId: MemberId })
export type MemberUnreadCount = z.infer<typeof MemberUnreadCount>

/** The counts of the notifications of one kind. */
export const KindCount = z.object({ kind: NotificationKind, ...counts })
export type KindCount = z.infer<typeof KindCount>

/** Response of `GET /notification/unread-count`. `kinds` is present if the call names kinds, in their order. */
export const InboxCounts = MemberUnreadCount.extend({ kinds: z.array(KindCount).optional() })
export type InboxCounts = z.infer<typeof InboxCounts>

/** Response of `POST /notification/unread-count`, in the order of `memberIds`. */
export const UnreadCounts = z.object({ members: z.array(MemberUnreadCount) })
export type UnreadCounts = z.infer<typeof UnreadCounts>

/** Most notifications that one {@link ReadMessage} names. */
export const maxIdsPerReadMessage = 1_000
const NotificationIds = z.array(NotificationId).max(maxIdsPerReadMessage)

/**
 * Request of `POST /notification/seen`: marks as seen what is stored at that moment, up to and including `upTo`. An id is given before its
 * notification is stored, so a smaller one may be stored later: it stays unseen.
 */
export const MarkSeen = z.strictObject({ upTo: NotificationId })
export type MarkSeen = z.infer<typeof MarkSeen>

/** Request of `POST /notification/read-all`: marks as read like {@link MarkSeen}; with `kind` only notifications of this kind. */
export const ReadAll = MarkSeen.extend({ kind: NotificationKind.optional() })
export type ReadAll = z.infer<typeof ReadAll>

/** Response of `POST /notification/read-all` and `POST /notification/seen`. */
export const ReadAllResult = UnreadCount.extend({
  notificationIds: NotificationIds.meta({
    description: 'What was marked; the newest of them when there are more.',
  }),
})
export type ReadAllResult = z.infer<typeof ReadAllResult>

/** Response of `DELETE /notification/{id}` to a backend. `recalled` is false when no such notification is stored. */
export const RecallResult = z.object({ recalled: z.boolean() })
export type RecallResult = z.infer<typeof RecallResult>

/** Response of `DELETE /notification/{id}`: the counts to a member, and a {@link RecallResult} to a backend. */
export const DeleteNotificationResult = z.union([UnreadCount, RecallResult])
documentedAs.set(DeleteNotificationResult, UnreadCount.extend(RecallResult.shape).partial())

/** Most ids in one {@link MarkReceived}. */
export const maxIdsPerReceived = 100

/** Request of `POST /notification/received`: own notifications that a device of the member has received. */
export const MarkReceived = z.strictObject({ notificationIds: z.array(NotificationId).min(1).max(maxIdsPerReceived) })
export type MarkReceived = z.infer<typeof MarkReceived>

/** Most notifications of one {@link StatusQuery}. */
export const maxIdsPerStatusQuery = 1_000

/** How far an escalation of a notification is: see PROTOCOL.md, Ask about notifications. */
const EscalationState = z.enum(['waiting', 'sent', 'dead']).nullable()

/** What became of a notification: the response of `GET /notification/{id}/status`. */
export const NotificationStatus = z.object({
  notificationId: NotificationId,
  memberId: MemberId,
  createdAt: z.iso.datetime(),
  published: z.boolean().describe('whether Redis has it, from where gateways deliver it'),
  received: z.boolean().describe('whether a device has received it'),
  seen: z.boolean(),
  readAt: z.iso.datetime().nullable(),
  archived: z.boolean(),
  push: EscalationState,
  webhook: EscalationState,
})
export type NotificationStatus = z.infer<typeof NotificationStatus>

/** Request of `POST /notification/status`. */
export const StatusQuery = z.strictObject({ notificationIds: z.array(NotificationId).min(1).max(maxIdsPerStatusQuery) })
export type StatusQuery = z.infer<typeof StatusQuery>

/** Response of `POST /notification/status`, in the order of `notificationIds`. `unknown` has the ids that `GET` would answer with 404. */
export const NotificationStatuses = z.object({ notifications: z.array(NotificationStatus), unknown: z.array(NotificationId) })
export type NotificationStatuses = z.infer<typeof NotificationStatuses>

/** Body of a request to the webhook (PROTOCOL.md, Webhook): the member has not seen a notification. */
export const WebhookEvent = z.object({
  type: z.literal('notification.unseen'),
  /** When it was still unseen. */
  timestamp: z.iso.datetime(),
  data: InboxItem.pick({
    notificationId: true,
    message: true,
    redirectPath: true,
    kind: true,
    data: true,
    count: true,
    createdAt: true,
  }).extend({ memberId: MemberId }),
})
export type WebhookEvent = z.infer<typeof WebhookEvent>

const SessionId = z.uuid('must be a UUID')

/**
 * Request of `POST /session/revoke`: refuses the tokens that the member was issued until now, or the token of one session, and closes
 * their sessions on every gateway.
 */
export const RevokeSession = z.strictObject({ memberId: MemberId, sessionId: SessionId.optional() })
export type RevokeSession = z.infer<typeof RevokeSession>

/** Path parameters of `POST /session/{sessionId}/revoke`. */
export const SessionPath = z.object({ sessionId: SessionId })

/** A session of a member, as a gateway reports it. */
export const SessionInfo = z.object({
  sessionId: SessionId,
  connectedAt: z.iso.datetime(),
  lastActivityAt: z.iso.datetime(),
  /** The `User-Agent` of the handshake, at most 200 characters; absent when the client sent none. */
  userAgent: z.string().optional(),
})
export type SessionInfo = z.infer<typeof SessionInfo>

/** A session in the response of `GET /session`. */
export const OwnSession = SessionInfo.extend({
  current: z.boolean().describe('whether the session uses the token of this request'),
})

/** Response of `GET /session`, oldest first. `complete` is false when a gateway did not reply in time. */
export const SessionList = z.object({ sessions: z.array(OwnSession), complete: z.boolean() })
export type SessionList = z.infer<typeof SessionList>

const ReadState = z.object({
  memberId: MemberId,
  /** Authoritative: the response of `GET /notification/unread-count` at this revision. */
  ...counts,
  /** Grows with every change of the member's inbox state. A count with a smaller revision than the last one is out of date. */
  revision: z.int().positive(),
})
const Named = NotificationIds.min(1)

/** A change of a member's inbox state, on `/member/queue/read`. It names each notification that changed, and no other has. */
export const ReadMessage = z.union([
  /** These notifications were read. */
  ReadState.extend({ notificationIds: Named, readAt: z.iso.datetime() }),
  /** These were marked as unread again. They stay seen. */
  ReadState.extend({ unreadIds: Named }),
  /** These were seen. */
  ReadState.extend({ seenIds: Named }),
  ReadState.extend({ archivedIds: Named }),
  /** These are no longer archived. */
  ReadState.extend({ unarchivedIds: Named }),
  /** These are no longer in the inbox: deleted by the member, recalled, expired, or removed because of their age. */
  ReadState.extend({ removedIds: Named }),
])
export type ReadMessage = z.infer<typeof ReadMessage>

/** These broadcasts are no longer in any inbox: recalled, or expired. On `/topic/all`. */
export const BroadcastRemoval = z.object({ removedIds: Named })
export type BroadcastRemoval = z.infer<typeof BroadcastRemoval>

/** A message from the gateway to one session, on `/member/queue/session`. */
export const SessionMessage = z.discriminatedUnion('type', [
  /** Publications of this destination are lost and cannot be recovered: read the state over HTTP. */
  z.object({ type: z.literal('gap'), destination: z.string() }),
  /** The token expires soon, at `expiresAt` in Unix seconds. */
  z.object({ type: z.literal('expiring'), expiresAt: z.int() }),
  /** The gateway is about to close this session with 1012: reconnect after this delay. */
  z.object({ type: z.literal('draining'), reconnectAfterMs: z.int().nonnegative() }),
])
export type SessionMessage = z.infer<typeof SessionMessage>

/** A refused SEND, on `/member/queue/error`: the problem (RFC 9457) of the HTTP call to which the gateway forwarded it. */
export const ErrorMessage = z.object({
  /** Destination of the SEND. */
  destination: z.string(),
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  /** Id of the HTTP call, in the log of notify-api. */
  requestId: z.string().optional(),
})
export type ErrorMessage = z.infer<typeof ErrorMessage>

/** Tokens that are refused before they expire: those of a member issued before a time, or a single one. */
export const Revocation = z.object({
  memberId: MemberId,
  /** Base64url of the first 16 bytes of SHA-256 over header and payload of the token, as signed; empty: all tokens of the member. */
  tokenHash: z.string(),
  /** Tokens with an earlier `iat`, in Unix seconds, are refused, also those without; 0 for a single token. */
  issuedBefore: z.int().nonnegative(),
  /** Unix seconds, when the last of these tokens has expired. */
  expiresAt: z.int().positive(),
})
export type Revocation = z.infer<typeof Revocation>

/** A command for all gateways, on the channel `gateway:control`. */
export const ControlMessage = z.discriminatedUnion('type', [
  Revocation.extend({ type: z.literal('revoke') }),
  /** The revocations were written to an empty Redis: read them all. */
  z.object({ type: z.literal('revocations') }),
  /** Append a {@link SessionsReply} to the key of the question. Published without position: a late reply would be of no use. */
  z.object({ type: z.literal('sessions'), memberId: MemberId, questionId: z.uuid() }),
])
export type ControlMessage = z.infer<typeof ControlMessage>

/** The member's sessions on one gateway, each with the hash of its token and when that expires, in Unix seconds. */
export const SessionsReply = z.array(SessionInfo.extend({ tokenHash: z.string(), expiresAt: z.int().positive() }))
export type SessionsReply = z.infer<typeof SessionsReply>
