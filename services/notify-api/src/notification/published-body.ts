import { broadcastChannel, type MemberId, memberChannel } from '@tidings/protocol'

/** `member_id` of a broadcast, which is one row for all members. */
export const allMembers = 0

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

/** Returns the part of the published JSON that follows the id, the same for every recipient. `data` is JSON text. */
export function bodyEndOf(message: string, redirectPath: string, data: string | null | undefined): string {
  return `,"message":${JSON.stringify(message)},"redirectPath":${JSON.stringify(redirectPath)}${data ? `,"data":${data}` : ''}}`
}
