import { type MemberId, tracedBody } from '@tidings/protocol'
import { escape } from 'mysql2'
import type { Connection, ScriptResult } from '../database/database.ts'
import { keyText, type MemberKey, storeMembers } from '../database/member-key.ts'
import type { OutboxRow } from '../outbox/row.ts'
import { anyDeferred } from '../outbox/store.ts'
import { escalationInsert, escalationRows } from '../reach/escalation.ts'
import { notExpired } from './inbox-store.ts'
import { bodyOf, channelOf } from './published-body.ts'
import {
  type GroupEntry,
  insertIdOf,
  type Steps,
  stepsOf,
  type StoredEntry,
  textIdsOf,
  type WriteGroupDeps,
} from './write-group.ts'

/** A notification that replaces the member's open one with the same collapse key: unread, and neither archived nor expired. */
export interface CollapsingEntry extends GroupEntry {
  readonly collapseKey: string
}

/** A notification of one member, as it is written. */
interface NewRow {
  readonly entry: CollapsingEntry
  readonly memberId: MemberId
  /** `member_id`, as SQL. */
  readonly member: string
  /** `member_id` and `collapse_key`, as SQL. */
  readonly key: string
  /** What it replaces: a stored notification, or an earlier row of the same group. */
  readonly replaces: { readonly storedId: number } | { readonly index: number } | undefined
  /** Number of notifications that it stands for. */
  readonly count: number
}

interface OpenRow {
  readonly notificationId: number
  readonly count: number
}

/**
 * Commits a group of notifications with collapse keys, as `writeGroup` does for others. The rows of the collapse keys are locked first, so
 * that of two instances, the second one replaces what the first one has written.
 *
 * A replaced notification is deleted, and its publication may still wait in the outbox. So the outbox has the bodies: each names the
 * notification that it replaces, and a device that misses one would keep what that one replaced.
 */
export async function writeCollapsing(
  group: readonly CollapsingEntry[],
  { database, outbox, onCommit }: WriteGroupDeps,
): Promise<StoredEntry[]> {
  const begin = performance.now()
  const { ids, outboxRows, noneDeferred } = await database.run(async (connection) => {
    const rows = await lockRows(connection, group, await storeMembers(connection, textIdsOf(group)))
    const inserted = await insertNotifications(connection, group, rows)
    return { ids: inserted, ...(await commitRest(connection, group, rows, inserted)) }
  })
  onCommit(group.length, (performance.now() - begin) / 1_000)
  const online = outbox.publishEach(outboxRows, { noneDeferred })
  let stored = 0
  return group.map(({ memberIds }) => {
    const from = stored
    stored += memberIds.length
    return { notificationIds: ids.slice(from, stored), online: online.slice(from, stored) }
  })
}

/** Locks the collapse keys of the group, and returns its rows with what they replace. */
async function lockRows(
  connection: Connection,
  group: readonly CollapsingEntry[],
  textMembers: ReadonlyMap<MemberId, MemberKey>,
): Promise<NewRow[]> {
  const memberOf = (memberId: MemberId) => keyText(textMembers.get(memberId) ?? (memberId as number))
  const keyOf = (memberId: MemberId, collapseKey: string) => `${memberOf(memberId)},${escape(collapseKey)}`
  // Sorted, so that transactions with the same keys wait for each other instead of deadlocking.
  const keys = [
    ...new Set(group.flatMap(({ memberIds, collapseKey }) => memberIds.map((id) => keyOf(id, collapseKey)))),
  ].toSorted()
  const results = await connection.script<OpenRow>(
    [
      `INSERT INTO collapse (member_id,collapse_key,notification_id) VALUES ${keys.map((key) => `(${key},0)`).join(',')}
       ON DUPLICATE KEY UPDATE notification_id = notification_id`,
      ...keys.map(openRow),
    ].join(';'),
  )
  const open = new Map<string, { replaces: NonNullable<NewRow['replaces']>; count: number }>()
  for (const [index, key] of keys.entries()) {
    const [stored] = rowsOf(results[index + 1])
    if (stored) open.set(key, { replaces: { storedId: stored.notificationId }, count: stored.count })
  }
  const rows: NewRow[] = []
  for (const entry of group) {
    for (const memberId of entry.memberIds) {
      const key = keyOf(memberId, entry.collapseKey)
      const before = open.get(key)
      const count = (before?.count ?? 0) + 1
      open.set(key, { replaces: { index: rows.length }, count })
      rows.push({ entry, memberId, member: memberOf(memberId), key, replaces: before?.replaces, count })
    }
  }
  return rows
}

function openRow(key: string): string {
  return `SELECT n.notification_id AS notificationId, n.count FROM collapse AS c
    STRAIGHT_JOIN notification AS n ON n.notification_id = c.notification_id AND n.member_id = c.member_id
    WHERE (c.member_id,c.collapse_key) = (${key}) AND n.read_at IS NULL AND n.archived = 0 AND ${notExpired} FOR UPDATE`
}

/** Returns the ids of the rows. */
async function insertNotifications(
  connection: Connection,
  group: readonly CollapsingEntry[],
  rows: readonly NewRow[],
): Promise<number[]> {
  const values = rows.map(({ entry, key, count }, index) => {
    const [member] = key.split(',', 1)
    const at = group.indexOf(entry)
    const step = index === 0 ? '+0*(@step:=@@auto_increment_increment)' : ''
    return `(${member}${step},@m${at},@p${at},@d${at},${escape(entry.kind ?? null)},${expiryOf(entry)},${count})`
  })
  // The content is sent to the server once, as variables.
  const variables = group.flatMap(({ message, redirectPath, data, bodyEnd }, at) => [
    `@m${at}=${escape(message)}`,
    `@p${at}=${escape(redirectPath)}`,
    `@d${at}=${escape(data ?? null)}`,
    `@b${at}=${escape(bodyEnd)}`,
  ])
  const [, inserted, steps] = await connection.script<Steps>(
    [
      `SET ${variables.join(',')}`,
      `INSERT INTO notification (member_id,message,redirect_path,data,kind,expires_at,count) VALUES ${values.join(',')}`,
      'SELECT @step AS notification,1 AS outbox',
    ].join(';'),
  )
  const first = insertIdOf(inserted)
  return rows.map((_, index) => first + index * stepsOf(steps).notification)
}

/** Writes what depends on the ids, deletes what is replaced, and commits. */
async function commitRest(
  connection: Connection,
  group: readonly CollapsingEntry[],
  rows: readonly NewRow[],
  ids: readonly number[],
): Promise<{ outboxRows: OutboxRow[]; noneDeferred: boolean }> {
  const replacedIds = rows.map(({ replaces }) => {
    if (!replaces) return undefined
    return 'index' in replaces ? ids[replaces.index] : replaces.storedId
  })
  const bodyStart = ({ count }: NewRow, index: number) => {
    const replacedId = replacedIds[index]
    return replacedId === undefined ? '' : `,"replacedId":${replacedId},"count":${count}`
  }
  const idStep = (ids[1] ?? 0) - (ids[0] ?? 0)
  const keys = group.flatMap(({ key }, at) => {
    const first = ids[rows.findIndex(({ entry }) => entry === group[at])]
    return key ? [`(x'${key.keyHash}',x'${key.requestHash}',${first},${rows.length > 1 ? idStep : 1})`] : []
  })
  const outbox = rows.map(({ entry, memberId, ...row }, index) => {
    const start = tracedBody(
      entry.traceparent,
      bodyOf(memberId, ids[index] as number, bodyStart({ entry, memberId, ...row }, index)),
    )
    const step = index === 0 ? '+0*(@outbox_step:=@@auto_increment_increment)' : ''
    return `(${ids[index]}${step},${escape(channelOf(memberId))},CONCAT(${escape(start)},@b${group.indexOf(entry)}))`
  })
  const expiries = rows.flatMap(({ entry }, index) => (entry.expiresAt ? [`(${ids[index]},${expiryOf(entry)})`] : []))
  const escalations = rows.flatMap(({ entry: { escalation }, member }, index) =>
    escalation ? escalationRows(escalation, String(ids[index]), member) : [],
  )
  const replaced = replacedIds.filter((id) => id !== undefined)
  const statements = [
    `INSERT INTO outbox (notification_id,channel,body) VALUES ${outbox.join(',')}`,
    'SELECT 1 AS notification,@outbox_step AS outbox',
    `INSERT INTO collapse (member_id,collapse_key,notification_id) VALUES ${rows.map(({ key }, index) => `(${key},${ids[index]})`).join(',')}
     ON DUPLICATE KEY UPDATE notification_id = VALUES(notification_id)`,
    ...(keys.length > 0
      ? [`INSERT INTO idempotency_key (key_hash,request_hash,first_notification_id,id_step) VALUES ${keys.join(',')}`]
      : []),
    ...(expiries.length > 0 ? [`INSERT INTO notification_expiry (notification_id,expires_at) VALUES ${expiries.join(',')}`] : []),
    ...(escalations.length > 0 ? [escalationInsert(escalations)] : []),
    ...(replaced.length > 0 ? [`DELETE FROM notification WHERE notification_id IN (${replaced.join(',')})`] : []),
    'COMMIT',
    // After the commit, as in `writeGroup`.
    anyDeferred,
    'COMMIT',
  ]
  const results = await connection.script<Steps>(statements.join(';'))
  const first = insertIdOf(results[0])
  const step = stepsOf(results[1]).outbox
  const deferred = results[statements.length - 2]
  return {
    outboxRows: rows.map((row, index) => ({
      outboxId: first + index * step,
      channel: channelOf(row.memberId),
      body: tracedBody(
        row.entry.traceparent,
        bodyOf(row.memberId, ids[index] as number, bodyStart(row, index) + row.entry.bodyEnd),
      ),
    })),
    noneDeferred: Array.isArray(deferred) && deferred.length === 0,
  }
}

function expiryOf({ expiresAt }: GroupEntry): string {
  return expiresAt ? escape(expiresAt, false, 'Z') : 'NULL'
}

function rowsOf<Row>(result: ScriptResult<Row> | undefined): readonly Row[] {
  return Array.isArray(result) ? result : []
}
