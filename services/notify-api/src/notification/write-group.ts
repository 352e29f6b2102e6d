import { broadcastChannel, memberChannel } from '@tidings/protocol'
import { escape } from 'mysql2'
import type { Weight } from '../database/group-commit.ts'
import type { Once } from './idempotency-store.ts'
import type { NewNotification } from './store.ts'

/** member_id of a broadcast. */
export const everybody = 0

/** A notification made ready for its group, so that the commit itself only joins text. */
export interface Prepared extends Weight {
  readonly memberIds: readonly number[]
  readonly message: string
  readonly redirectPath: string
  /** JSON text. */
  readonly data: string | undefined
  /** What follows the id in the published body. */
  readonly bodyEnd: string
  readonly once: Once | undefined
}

export function prepare({ memberIds, message, redirectPath, data, once }: NewNotification): Prepared {
  const json = data && JSON.stringify(data)
  const bodyEnd = bodyEndOf(message, redirectPath, json)
  return { memberIds, message, redirectPath, data: json, bodyEnd, once, rows: memberIds.length, bytes: bodyEnd.length }
}

export function channelOf(memberId: number): string {
  return memberId === everybody ? broadcastChannel('all') : memberChannel(memberId, 'notification')
}

/** The published JSON. */
export function bodyOf(memberId: number, notificationId: number, bodyEnd: string): string {
  return memberId === everybody
    ? `{"notificationId":${notificationId}${bodyEnd}`
    : `{"memberId":${memberId},"notificationId":${notificationId}${bodyEnd}`
}

/** What follows the id in the published JSON; `data` is JSON text. */
export function bodyEndOf(message: string, redirectPath: string, data: string | null | undefined): string {
  return `,"message":${JSON.stringify(message)},"redirectPath":${JSON.stringify(redirectPath)}${data ? `,"data":${data}` : ''}}`
}

/**
 * The group as one script, for a connection whose transactions begin by themselves: notifications, idempotency keys, outbox rows. Outbox
 * rows name the ids that the first INSERT has just made: LAST_INSERT_ID() is its first id until a later statement makes one, and the
 * others follow `increment` apart. `notifications` and `outbox` are the places of those two statements in the script.
 */
export function groupScript(
  group: readonly Prepared[],
  increment: number,
): { sql: string; notifications: number; outbox: number } {
  const variables: string[] = []
  const notifications: string[] = []
  const keys: string[] = []
  const outbox: string[] = []
  for (const { memberIds, message, redirectPath, data, once } of group) {
    const several = memberIds.length > 1
    // What goes to several members is sent to the server once.
    const text = (value: string | undefined) => {
      if (value === undefined) return 'NULL'
      return several ? `@v${variables.push(escape(value)) - 1}` : escape(value)
    }
    const values = `${text(message)},${text(redirectPath)},${text(data)}`
    if (once) keys.push(`(x'${once.keyHash}',x'${once.requestHash}',LAST_INSERT_ID()+${notifications.length * increment})`)
    for (const memberId of memberIds) {
      const id = `LAST_INSERT_ID()+${notifications.length * increment}`
      notifications.push(`(${memberId},${values})`)
      outbox.push(`(${id})`)
    }
  }
  const statements = [
    ...(variables.length > 0 ? [`SET ${variables.map((value, index) => `@v${index}=${value}`).join(',')}`] : []),
    `INSERT INTO notification (member_id,message,redirect_path,data) VALUES ${notifications.join(',')}`,
    ...(keys.length > 0
      ? [`INSERT INTO idempotency_key (key_hash,request_hash,first_notification_id) VALUES ${keys.join(',')}`]
      : []),
    `INSERT INTO outbox (notification_id) VALUES ${outbox.join(',')}`,
    'COMMIT',
  ]
  return {
    sql: statements.join(';'),
    notifications: variables.length > 0 ? 1 : 0,
    outbox: statements.length - 2,
  }
}
