import { escape } from 'mysql2'
import type { Database } from '../database/database.ts'
import type { Weight } from '../database/group-commit.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { OutboxRow } from '../outbox/row.ts'
import type { IdempotencyKey } from './idempotency-key.ts'
import { bodyEndOf, bodyOf, channelOf } from './published-body.ts'

/** The same content for one member, for several, or for all members. */
export interface NewNotification {
  /** One row is stored for each, in this order; `[allMembers]` for a broadcast. */
  readonly memberIds: readonly number[]
  readonly message: string
  readonly redirectPath: string
  readonly data?: Readonly<Record<string, unknown>> | undefined
  readonly key: IdempotencyKey | undefined
}

/** A notification prepared for its group: writing the group only joins text. */
export interface GroupEntry extends Weight {
  readonly memberIds: readonly number[]
  readonly message: string
  readonly redirectPath: string
  /** JSON text. */
  readonly data: string | undefined
  /** The part of the published body that follows the id. */
  readonly bodyEnd: string
  readonly key: IdempotencyKey | undefined
}

export function groupEntry({ memberIds, message, redirectPath, data, key }: NewNotification): GroupEntry {
  const json = data && JSON.stringify(data)
  const bodyEnd = bodyEndOf(message, redirectPath, json)
  return { memberIds, message, redirectPath, data: json, bodyEnd, key, rows: memberIds.length, bytes: bodyEnd.length }
}

export interface WriteGroupDeps {
  /** Must be opened with `scripts: true`, for `Connection.script`. */
  readonly database: Database
  /** Distance between consecutive ids of one INSERT: `auto_increment_increment` of the server. */
  readonly increment: number
  readonly outbox: Pick<Outbox, 'publish'>
  /** Called after each commit with the number of entries and the time it took. */
  readonly onCommit: (entries: number, seconds: number) => void
}

/**
 * Commits a group of notifications with their idempotency keys and outbox rows, in one transaction and one round trip, and hands the
 * rows to the outbox. Returns the ids of each entry, in the order of its `memberIds`.
 */
export async function writeGroup(
  group: readonly GroupEntry[],
  { database, increment, outbox, onCommit }: WriteGroupDeps,
): Promise<number[][]> {
  const begin = performance.now()
  const script = groupScript(group, increment)
  const headers = await database.run((connection) => connection.script(script.sql))
  onCommit(group.length, (performance.now() - begin) / 1_000)
  let notificationId = headers[script.notificationStatement]?.insertId ?? Number.NaN
  let outboxId = headers[script.outboxStatement]?.insertId ?? Number.NaN
  const outboxRows: OutboxRow[] = []
  const ids = group.map(({ memberIds, bodyEnd }) => {
    const notificationIds: number[] = []
    for (const memberId of memberIds) {
      notificationIds.push(notificationId)
      outboxRows.push({ outboxId, channel: channelOf(memberId), body: bodyOf(memberId, notificationId, bodyEnd) })
      notificationId += increment
      outboxId += increment
    }
    return notificationIds
  })
  // Not awaited: what is committed will be published, so no response waits for Redis.
  void outbox.publish(outboxRows)
  return ids
}

interface GroupScript {
  readonly sql: string
  /** Index of the statement that inserts the notifications. */
  readonly notificationStatement: number
  /** Index of the statement that inserts the outbox rows. */
  readonly outboxStatement: number
}

/**
 * Returns the group as one script for a connection without autocommit: notifications, idempotency keys, outbox rows. Keys and outbox
 * rows refer to the ids of the notifications. LAST_INSERT_ID() is the first of these ids, also while the outbox rows are inserted; the
 * others follow `increment` apart.
 */
function groupScript(group: readonly GroupEntry[], increment: number): GroupScript {
  const variables: string[] = []
  const notifications: string[] = []
  const keys: string[] = []
  const outbox: string[] = []
  for (const { memberIds, message, redirectPath, data, key } of group) {
    const several = memberIds.length > 1
    // Content for several members is sent to the server once, as a variable.
    const text = (value: string | undefined) => {
      if (value === undefined) return 'NULL'
      return several ? `@v${variables.push(escape(value)) - 1}` : escape(value)
    }
    const values = `${text(message)},${text(redirectPath)},${text(data)}`
    if (key) keys.push(`(x'${key.keyHash}',x'${key.requestHash}',LAST_INSERT_ID()+${notifications.length * increment})`)
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
    notificationStatement: variables.length > 0 ? 1 : 0,
    outboxStatement: statements.length - 2,
  }
}
