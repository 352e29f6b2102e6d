import { randomUUID } from 'node:crypto'
import { Caller, type CallerOptions } from './caller.ts'

/**
 * How a notification goes out when it reaches no open tab (PROTOCOL.md, Reach). At least one of `push` and `webhook` is true, and the
 * installation has it configured.
 */
export interface Escalate {
  /** To the member's devices, for what none of them has received. */
  readonly push?: boolean
  /** To the webhook of the installation, for what the member has not seen. */
  readonly webhook?: boolean
  /** Time until the webhook, or without one until the push. */
  readonly afterSeconds?: number
  /** How soon a push service wakes a device. Default: `normal`. */
  readonly urgency?: 'very-low' | 'low' | 'normal' | 'high'
}

interface NotificationContent {
  /** 1 to 4,000 characters. */
  readonly message: string
  /** A path on the application's own origin: one leading slash. */
  readonly redirectPath: string
  /** A JSON object. */
  readonly data?: Readonly<Record<string, unknown>> | undefined
  /** A name, by which inboxes are filtered, and which may have a default of `escalate`. */
  readonly kind?: string | undefined
  /** False turns off what the installation sets for the kind. */
  readonly escalate?: Escalate | false | undefined
  /**
   * Identifies the notification: sent again within 24 hours it is stored once. Pass one that outlives this process, such as an order's id,
   * where the call is repeated after a crash. Default: a new one, so that the retries of this call store one notification.
   */
  readonly idempotencyKey?: string | undefined
}

/** A notification to one member. */
export interface NotificationToMember extends NotificationContent {
  readonly memberId: number | string
}

/** The same notification to each of 1 to 1,000 members. */
export interface NotificationToMembers extends NotificationContent {
  readonly memberIds: readonly (number | string)[]
}

/** A stored notification. `online` is whether a page of the member is open; null when that is not known. */
export interface SentNotification {
  readonly notificationId: number
  readonly memberId: number | string
  readonly online: boolean | null
}

/**
 * Sends a notification (scope `notification:send`). Resolves when it is stored; for several members, in their order.
 *
 * @throws Refused, or the last error when retrying has not helped within `patienceMs`: it is then not known whether it was stored.
 */
export function sendNotification(options: CallerOptions, notification: NotificationToMember): Promise<SentNotification>
export function sendNotification(
  options: CallerOptions,
  notification: NotificationToMembers,
): Promise<{ readonly notifications: readonly SentNotification[] }>
export function sendNotification(
  options: CallerOptions,
  { idempotencyKey = randomUUID(), ...notification }: NotificationToMember | NotificationToMembers,
): Promise<unknown> {
  return new Caller(options).call('/notification/send', notification, { 'idempotency-key': idempotencyKey })
}

/** Any JSON value for all sessions that are subscribed to a topic: `/topic/{name}`. */
export interface MessageToTopic {
  readonly destination: string
  readonly body: unknown
}

/** Any JSON value for the queue of each of 1 to 1,000 members: `/member/queue/{name}`. */
export interface MessageToMembers extends MessageToTopic {
  readonly memberIds: readonly (number | string)[]
}

/** With `error`, this member's message was not accepted. */
export type SentMemberMessage =
  | { readonly memberId: number | string; readonly position: string; readonly error?: undefined }
  | { readonly memberId: number | string; readonly error: 'refused' | 'unavailable'; readonly position?: undefined }

/**
 * Sends a message that is no notification (scope `message:send`). It is published and not stored. A retry after a lost response sends it
 * twice.
 *
 * @throws Refused, or the last error when retrying has not helped within `patienceMs`.
 */
export function sendMessage(
  options: CallerOptions,
  message: MessageToMembers,
): Promise<{ readonly messages: readonly SentMemberMessage[] }>
export function sendMessage(options: CallerOptions, message: MessageToTopic): Promise<{ readonly position: string }>
export function sendMessage(options: CallerOptions, message: MessageToTopic | MessageToMembers): Promise<unknown> {
  return new Caller(options).call('/message', message)
}
