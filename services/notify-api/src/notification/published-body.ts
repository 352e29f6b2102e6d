import { broadcastChannel, type MemberId, memberChannel } from '@tidings/protocol'

/** `member_id` of a broadcast, which is one row for all members. */
export const allMembers = 0

/** What a notification tells its recipients, the same for each of them. */
export interface PublishedContent {
  readonly message: string
  readonly redirectPath?: string | undefined
  /** JSON text. */
  readonly data?: string | null | undefined
  readonly kind?: string | null | undefined
  /** ISO 8601. */
  readonly expiresAt?: string | undefined
}

/** Returns the channel to which a notification is published. */
export function channelOf(memberId: MemberId): string {
  return memberId === allMembers ? broadcastChannel('all') : memberChannel(memberId, 'notification')
}

/** Returns the published JSON. `bodyEnd` is the result of `bodyEndOf`. */
export function bodyOf(memberId: MemberId, notificationId: number, bodyEnd: string): string {
  if (memberId === allMembers) return `{"notificationId":${notificationId}${bodyEnd}`
  // No member id contains a character that JSON escapes.
  const id = typeof memberId === 'number' ? memberId : `"${memberId}"`
  return `{"memberId":${id},"notificationId":${notificationId}${bodyEnd}`
}

/** Returns the part of the published JSON that follows the id. */
export function bodyEndOf({ message, redirectPath, data, kind, expiresAt }: PublishedContent): string {
  // The empty text in the database stands for no path.
  const path = redirectPath ? `,"redirectPath":${JSON.stringify(redirectPath)}` : ''
  // Neither a kind nor a time contains a character that JSON escapes.
  const rest = `${data ? `,"data":${data}` : ''}${kind ? `,"kind":"${kind}"` : ''}${expiresAt ? `,"expiresAt":"${expiresAt}"` : ''}`
  return `,"message":${JSON.stringify(message)}${path}${rest}}`
}
