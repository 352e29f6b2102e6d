import { broadcastChannel, memberChannel } from '@tidings/protocol'

/** `member_id` of a broadcast, which is one row for all members. */
export const allMembers = 0

/** Returns the channel to which a notification is published. */
export function channelOf(memberId: number): string {
  return memberId === allMembers ? broadcastChannel('all') : memberChannel(memberId, 'notification')
}

/** Returns the published JSON. `bodyEnd` is the result of `bodyEndOf`. */
export function bodyOf(memberId: number, notificationId: number, bodyEnd: string): string {
  return memberId === allMembers
    ? `{"notificationId":${notificationId}${bodyEnd}`
    : `{"memberId":${memberId},"notificationId":${notificationId}${bodyEnd}`
}

/** Returns the part of the published JSON that follows the id, the same for every recipient. `data` is JSON text. */
export function bodyEndOf(message: string, redirectPath: string, data: string | null | undefined): string {
  return `,"message":${JSON.stringify(message)},"redirectPath":${JSON.stringify(redirectPath)}${data ? `,"data":${data}` : ''}}`
}
