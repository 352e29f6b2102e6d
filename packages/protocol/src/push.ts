import { z } from 'zod'
import { MemberId } from './member-id.ts'
import { NotificationId, NotificationKind, RedirectPath } from './message.ts'

// Schemas of Web Push (PROTOCOL.md §4).

/** Longest endpoint of a subscription. */
export const maxEndpointLength = 2_048

/** The URL at which a push service takes messages for one browser. */
const Endpoint = z
  .string()
  .max(maxEndpointLength)
  .regex(/^https?:\/\/[\x21-\x7e]+$/, 'must be an https: URL in ASCII')
  .meta({ examples: ['https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV'] })

/** The keys of a browser: `keys` of `PushSubscription.toJSON()`. */
export const PushSubscriptionKeys = z.object({
  /** A point on P-256. */
  p256dh: z
    .string()
    .regex(/^[A-Za-z0-9_-]{87}$/, 'must be 65 bytes in base64url')
    .meta({ examples: ['BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4'] }),
  auth: z
    .string()
    .regex(/^[A-Za-z0-9_-]{22}$/, 'must be 16 bytes in base64url')
    .meta({ examples: ['BTBZMqHH6r4Tts7J_aSIgg'] }),
})
export type PushSubscriptionKeys = z.infer<typeof PushSubscriptionKeys>

/**
 * Request of `PUT /push/subscription`: `PushSubscription.toJSON()` of a browser, whose other members are ignored, and two of our own.
 */
export const PutPushSubscription = z.object({
  endpoint: Endpoint,
  keys: PushSubscriptionKeys,
  /** An earlier endpoint of the same browser, which is removed. */
  replaces: Endpoint.optional(),
  /** Language of the member, a tag of BCP 47. */
  lang: z
    .string()
    .regex(/^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$/, 'must be a language tag')
    .max(35)
    .optional(),
})
export type PutPushSubscription = z.infer<typeof PutPushSubscription>

/** Request of `DELETE /push/subscription`. */
export const DeletePushSubscription = z.object({ endpoint: Endpoint })
export type DeletePushSubscription = z.infer<typeof DeletePushSubscription>

/** Response of `GET /push/key`: the `applicationServerKey` of subscriptions, in base64url. */
export const PushKey = z.object({ publicKey: z.string() })
export type PushKey = z.infer<typeof PushKey>

/** Plaintext of a push message: a declarative one, which a browser may show without a service worker. */
export const PushMessage = z.object({
  web_push: z.literal(8030),
  notification: z.object({
    title: z.string(),
    body: z.string().optional(),
    lang: z.string().optional(),
    dir: z.literal('auto'),
    /** The redirect path on the Origin that subscribed. Absent for an app, which has no Origin. */
    navigate: z.url().optional(),
    tag: z.string(),
    data: z.object({
      notificationId: NotificationId,
      memberId: MemberId,
      redirectPath: RedirectPath.optional(),
      kind: NotificationKind.optional(),
      data: z.record(z.string(), z.unknown()).optional(),
      count: z.int().min(2).optional(),
    }),
  }),
})
export type PushMessage = z.infer<typeof PushMessage>
