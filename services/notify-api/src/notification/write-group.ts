import { type MemberId, tracedBody } from '@tidings/protocol'
import { escape } from 'mysql2'
import type { Database, ScriptResult } from '../database/database.ts'
import { type MemberKey, storeMembers } from '../database/member-key.ts'
import type { Weight } from '../database/group-commit.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { OutboxRow } from '../outbox/row.ts'
import { anyDeferred } from '../outbox/store.ts'
import { type Escalation, escalationInsert, escalationRows } from '../reach/escalation.ts'
import type { IdempotencyKey } from './idempotency-key.ts'
import { bodyEndOf, bodyOf, channelOf } from './published-body.ts'

/** The same content for one member, for several, or for all members. */
export interface NewNotification {
  /** One row is stored for each, in this order; `[allMembers]` for a broadcast. */
  readonly memberIds: readonly MemberId[]
  readonly message: string
  readonly redirectPath?: string | undefined
  readonly data?: Readonly<Record<string, unknown>> | undefined
  readonly kind?: string | undefined
  /** ISO 8601. */
  readonly expiresAt?: string | undefined
  readonly escalation?: Escalation | undefined
  readonly key: IdempotencyKey | undefined
  readonly traceparent: string | undefined
}

/** A notification prepared for its group: writing the group only joins text. */
export interface GroupEntry extends Weight {
  readonly memberIds: readonly MemberId[]
  readonly message: string
  /** Empty when there is none. */
  readonly redirectPath: string
  /** JSON text. */
  readonly data: string | undefined
  readonly kind: string | undefined
  readonly expiresAt: Date | undefined
  readonly escalation: Escalation | undefined
  /** The part of the published body that follows the id. */
  readonly bodyEnd: string
  readonly key: IdempotencyKey | undefined
  readonly traceparent: string | undefined
}

export function groupEntry({
  memberIds,
  message,
  redirectPath = '',
  data,
  kind,
  expiresAt,
  escalation,
  key,
  traceparent,
}: NewNotification): GroupEntry {
  const json = data && JSON.stringify(data)
  const expiry = expiresAt === undefined ? undefined : new Date(expiresAt)
  const bodyEnd = bodyEndOf({ message, redirectPath, data: json, kind, expiresAt: expiry?.toISOString() })
  const content = { message, redirectPath, data: json, kind, expiresAt: expiry, escalation }
  const weight = { rows: memberIds.length, bytes: bodyEnd.length }
  return { memberIds, ...content, bodyEnd, key, traceparent, ...weight }
}

export interface WriteGroupDeps {
  /** Must be opened with `scripts: true`, for `Connection.script`. */
  readonly database: Database
  readonly outbox: Pick<Outbox, 'publishEach'>
  /** Called after each commit with the number of entries and the time it took. */
  readonly onCommit: (entries: number, seconds: number) => void
}

/** An entry that is stored. */
export interface StoredEntry {
  /** In the order of its `memberIds`. */
  readonly notificationIds: readonly number[]
  /** See {@link Outbox.publishEach}. */
  readonly online: readonly Promise<boolean | null>[]
}

/**
 * Commits a group of notifications with their idempotency keys and outbox rows, in one transaction and one round trip, and hands the
 * rows to the outbox.
 */
export async function writeGroup(
  group: readonly GroupEntry[],
  { database, outbox, onCommit }: WriteGroupDeps,
): Promise<StoredEntry[]> {
  const begin = performance.now()
  const { script, results } = await database.run(async (connection) => {
    const groupSql = groupScript(group, await storeMembers(connection, textIdsOf(group)))
    return { script: groupSql, results: await connection.script<Steps>(groupSql.sql) }
  })
  onCommit(group.length, (performance.now() - begin) / 1_000)
  let notificationId = insertIdOf(results[script.notificationStatement])
  let outboxId = insertIdOf(results[script.outboxStatement])
  const steps = stepsOf(results[script.stepStatement])
  const outboxRows: OutboxRow[] = []
  const ids = group.map(({ memberIds, bodyEnd, traceparent }) => {
    const notificationIds: number[] = []
    for (const memberId of memberIds) {
      notificationIds.push(notificationId)
      const body = tracedBody(traceparent, bodyOf(memberId, notificationId, bodyEnd))
      outboxRows.push({ outboxId, channel: channelOf(memberId), body })
      notificationId += steps.notification
      outboxId += steps.outbox
    }
    return notificationIds
  })
  const deferred = results[script.deferredStatement]
  const online = outbox.publishEach(outboxRows, { noneDeferred: Array.isArray(deferred) && deferred.length === 0 })
  let published = 0
  // The next group does not wait for Redis.
  return ids.map((notificationIds) => ({
    notificationIds,
    online: online.slice(published, (published += notificationIds.length)),
  }))
}

export function textIdsOf(group: readonly GroupEntry[]): string[] {
  return group.flatMap(({ memberIds }) => memberIds.filter((id) => typeof id === 'string'))
}

/** Distance between consecutive ids of one INSERT, by table. */
export interface Steps {
  readonly notification: number
  readonly outbox: number
}

/** A group of one row has no steps. */
export function stepsOf(result: ScriptResult<Steps> | undefined): Steps {
  const [steps] = Array.isArray(result) ? result : []
  return steps ?? { notification: 1, outbox: 1 }
}

export function insertIdOf(result: ScriptResult<Steps> | undefined): number {
  return result && 'insertId' in result ? result.insertId : Number.NaN
}

interface GroupScript {
  readonly sql: string
  /** Index of the statement that inserts the notifications. */
  readonly notificationStatement: number
  /** Index of the statement that inserts the outbox rows. */
  readonly outboxStatement: number
  /** Index of the statement that returns the steps; of none for a single row. */
  readonly stepStatement: number
  /** Index of the statement that returns whether any channel has deferred rows. */
  readonly deferredStatement: number
}

/**
 * Returns the group as one script for a connection without autocommit: notifications, idempotency keys, outbox rows. Keys and outbox
 * rows refer to the ids of the notifications. LAST_INSERT_ID() is the first of these ids, also while the outbox rows are inserted; the
 * others follow one step apart.
 *
 * A cluster changes the step when nodes join or leave, even between two statements of a connection. So each INSERT notes the step that
 * it uses itself; reading it in another statement could return another step.
 */
function groupScript(group: readonly GroupEntry[], textMembers: ReadonlyMap<MemberId, MemberKey>): GroupScript {
  const variables: string[] = []
  const notifications: string[] = []
  const keys: string[] = []
  const outbox: string[] = []
  const expiries: string[] = []
  const escalations: string[] = []
  const extended = group.some(({ kind, expiresAt }) => kind !== undefined || expiresAt !== undefined)
  const rows = group.reduce((total, { memberIds }) => total + memberIds.length, 0)
  // Part of the first row only. A single row needs no step.
  const noted = (variable: string, index: number) =>
    index === 0 && rows > 1 ? `+0*(${variable}:=@@auto_increment_increment)` : ''
  // The row of a notification has no body. Its column holds the trace, when any request of the group has one.
  const traced = group.some(({ traceparent }) => traceparent !== undefined)
  for (const { memberIds, message, redirectPath, data, kind, expiresAt, escalation, key, traceparent } of group) {
    const several = memberIds.length > 1
    // Content for several members is sent to the server once, as a variable.
    const text = (value: string | undefined) => {
      if (value === undefined) return 'NULL'
      return several ? `@v${variables.push(escape(value)) - 1}` : escape(value)
    }
    const expiry = expiresAt && escape(expiresAt, false, 'Z')
    const values = `${text(message)},${text(redirectPath)},${text(data)}${extended ? `,${escape(kind ?? null)},${expiry ?? 'NULL'}` : ''}`
    if (key) keys.push(`(x'${key.keyHash}',x'${key.requestHash}',${idOf(notifications.length)},${rows > 1 ? '@step' : 1})`)
    for (const memberId of memberIds) {
      const index = notifications.length
      const member = escape(textMembers.get(memberId) ?? memberId)
      notifications.push(`(${member}${noted('@step', index)},${values})`)
      const trace = traced ? `,${escape(traceparent ?? null)}` : ''
      outbox.push(`(${idOf(index)}${noted('@outbox_step', index)}${trace})`)
      if (expiry) expiries.push(`(${idOf(index)},${expiry})`)
      if (escalation) escalations.push(...escalationRows(escalation, idOf(index), member))
    }
  }
  const statements = [
    ...(variables.length > 0 ? [`SET ${variables.map((value, index) => `@v${index}=${value}`).join(',')}`] : []),
    `INSERT INTO notification (member_id,message,redirect_path,data${extended ? ',kind,expires_at' : ''}) VALUES ${notifications.join(',')}`,
    ...(keys.length > 0
      ? [`INSERT INTO idempotency_key (key_hash,request_hash,first_notification_id,id_step) VALUES ${keys.join(',')}`]
      : []),
    ...(expiries.length > 0 ? [`INSERT INTO notification_expiry (notification_id,expires_at) VALUES ${expiries.join(',')}`] : []),
    ...(escalations.length > 0 ? [escalationInsert(escalations)] : []),
    `INSERT INTO outbox (notification_id${traced ? ',body' : ''}) VALUES ${outbox.join(',')}`,
    ...(rows > 1 ? ['SELECT @step AS notification,@outbox_step AS outbox'] : []),
    'COMMIT',
    // After the commit: on a cluster, it has then received what other nodes have committed before. In a transaction of its own.
    anyDeferred,
    'COMMIT',
  ]
  const notificationStatement = variables.length > 0 ? 1 : 0
  const between = [keys, expiries, escalations].filter((rowsOfTable) => rowsOfTable.length > 0)
  const outboxStatement = notificationStatement + 1 + between.length
  return {
    sql: statements.join(';'),
    notificationStatement,
    outboxStatement,
    stepStatement: rows > 1 ? outboxStatement + 1 : -1,
    deferredStatement: statements.length - 2,
  }
}

/** Returns the id of the notification at `index` of the group, as SQL. */
function idOf(index: number): string {
  return index === 0 ? 'LAST_INSERT_ID()' : `LAST_INSERT_ID()+${index}*@step`
}
