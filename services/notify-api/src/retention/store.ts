import type { MemberId } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import { memberIdOf, type StoredMember, textIdColumn } from '../database/member-key.ts'
import type { InboxMembers } from '../notification/inbox-member.ts'
import { allMembers } from '../notification/published-body.ts'
import { removeFromInbox } from '../notification/read-store.ts'
import type { OutboxRow } from '../outbox/row.ts'

export interface RetentionLimits {
  readonly days: number
  /** Most rows of one DELETE. */
  readonly batchRows: number
  /** Most DELETEs of each table in one pass. */
  readonly maxBatches: number
  /** Called before each batch and each member; the pass ends early when it resolves to false. */
  readonly mayContinue: () => Promise<boolean>
  /** Called for each member of whom unread notifications were removed, with the committed event for its devices. */
  readonly publish: (event: OutboxRow) => Promise<void>
}

export interface RetentionPass {
  readonly retired: Retired
  /** First error of a member whose notifications are left to the next pass. */
  readonly failure: unknown
}

/** Number of deleted rows by table. */
export type Retired = Readonly<
  Record<
    | 'notification'
    | 'broadcast_read'
    | 'broadcast_state'
    | 'collapse'
    | 'escalation'
    | 'push_settled'
    | 'idempotency_key'
    | 'task'
    | 'revocation',
    number
  >
>

const idempotencyHours = 24

/** Deletes expired rows in small batches, so that every transaction is short. */
export class RetentionStore {
  readonly #database: Database
  readonly #members: InboxMembers

  constructor(database: Database, members: InboxMembers) {
    this.#database = database
    this.#members = members
  }

  /** Runs one pass. */
  async retire(limits: RetentionLimits): Promise<RetentionPass> {
    const database = this.#database
    const { days, batchRows } = limits
    let failure: unknown
    const notification = await repeat(limits, () =>
      retireNotifications(database, this.#members, limits, (error) => {
        failure ??= error
      }),
    )
    const deleteRows = (deleteBatch: (connection: Connection) => Promise<number>) =>
      repeat(limits, () => database.run(deleteBatch))
    // After the notifications: a broadcast that lost its read rows first would count as unread again.
    const broadcast_read = await deleteRows((connection) => retireDependent(connection, 'broadcast_read', batchRows))
    const broadcast_state = await deleteRows((connection) => retireDependent(connection, 'broadcast_state', batchRows))
    const collapse = await deleteRows((connection) => retireDependent(connection, 'collapse', batchRows))
    const escalation = await deleteRows((connection) => retireEscalations(connection, batchRows))
    const push_settled = await deleteRows((connection) => retireDependent(connection, 'push_settled', batchRows))
    const idempotency_key = await deleteRows((connection) => retireKeys(connection, batchRows))
    const early = await deleteRows((connection) => retireEarlyCancels(connection, batchRows))
    const task = early + (await deleteRows((connection) => retireTasks(connection, days, batchRows)))
    const revocation = await deleteRows((connection) => retireRevocations(connection, batchRows))
    return {
      retired: {
        notification,
        broadcast_read,
        broadcast_state,
        collapse,
        escalation,
        push_settled,
        idempotency_key,
        task,
        revocation,
      },
      failure,
    }
  }
}

async function repeat(
  { batchRows, maxBatches, mayContinue }: RetentionLimits,
  deleteBatch: () => Promise<number>,
): Promise<number> {
  let total = 0
  for (let batch = 0; batch < maxBatches && (await mayContinue()); batch++) {
    const rows = await deleteBatch()
    total += rows
    if (rows < batchRows) break
  }
  return total
}

/**
 * Deletes notifications. Ids grow with time, so the oldest come first in the primary key: no index on created_at is needed. Unread ones are
 * deleted member by member, since each removal changes a count that devices show. A member that fails is left to the next pass.
 */
async function retireNotifications(
  database: Database,
  members: InboxMembers,
  { days, batchRows, mayContinue, publish }: RetentionLimits,
  onFailure: (error: unknown) => void,
): Promise<number> {
  const { affectedRows, idsByMember } = await database.run((connection) => retireReadOnes(connection, days, batchRows))
  let deleted = affectedRows
  for (const [memberId, notificationIds] of idsByMember) {
    if (!(await mayContinue())) break
    try {
      const event = await database.run((connection) => removeUnread(connection, members, memberId, notificationIds))
      if (event) await publish(event)
      deleted += notificationIds.length
    } catch (error) {
      onFailure(error)
    }
  }
  return deleted
}

/** Deletes the oldest broadcasts and read notifications. Returns the number of them, and the ids of the unread ones by member. */
async function retireReadOnes(
  connection: Connection,
  days: number,
  batchRows: number,
): Promise<{ affectedRows: number; idsByMember: Map<MemberId, number[]> }> {
  const idsByMember = new Map<MemberId, number[]>()
  const [oldest] = await connection.rows<{ upTo: number | null; before: Date }>(
    `SELECT MAX(notification_id) AS upTo, NOW(3) - INTERVAL ? DAY AS \`before\`
     FROM (SELECT notification_id, created_at FROM notification ORDER BY notification_id LIMIT ?) AS oldest
     WHERE created_at < NOW(3) - INTERVAL ? DAY`,
    [days, batchRows, days],
  )
  if (!oldest?.upTo) return { affectedRows: 0, idsByMember }
  const { upTo, before } = oldest
  // Before the unread ones of members: their counts then no longer include a broadcast that goes.
  const { affectedRows } = await connection.write(
    `DELETE FROM notification
     WHERE notification_id <= ? AND created_at < ? AND (member_id = ${allMembers} OR read_at IS NOT NULL)`,
    [upTo, before],
  )
  const unread = await connection.rows<StoredMember & { notificationId: number }>(
    `SELECT member_id AS memberId, ${textIdColumn}, notification_id AS notificationId FROM notification
     WHERE notification_id <= ? AND created_at < ? AND member_id <> ${allMembers} AND read_at IS NULL`,
    [upTo, before],
  )
  for (const { notificationId, ...member } of unread) {
    const memberId = memberIdOf(member)
    const ids = idsByMember.get(memberId)
    if (ids) ids.push(notificationId)
    else idsByMember.set(memberId, [notificationId])
  }
  return { affectedRows, idsByMember }
}

/** Deletes notifications of one member. The event for its devices is part of the transaction. */
async function removeUnread(
  connection: Connection,
  members: InboxMembers,
  memberId: MemberId,
  removedIds: number[],
): Promise<OutboxRow | undefined> {
  await connection.write('START TRANSACTION')
  const event = await removeFromInbox(connection, members, memberId, removedIds)
  await connection.write('COMMIT')
  return event
}

/** Deletes rows whose notification was deleted because of its age. */
async function retireDependent(
  connection: Connection,
  table: 'broadcast_read' | 'broadcast_state' | 'collapse' | 'push_settled',
  rows: number,
): Promise<number> {
  const { affectedRows } = await connection.write(
    `DELETE FROM ${table} WHERE notification_id < (SELECT MIN(notification_id) FROM notification) ORDER BY notification_id LIMIT ?`,
    [rows],
  )
  return affectedRows
}

/** Deletes escalations whose notification is no longer stored. Not the newest: a transaction may be about to commit both. */
async function retireEscalations(connection: Connection, rows: number): Promise<number> {
  const { affectedRows } = await connection.write(
    `DELETE FROM escalation WHERE notification_id < (SELECT MIN(notification_id) FROM notification)
       AND changed_at < NOW(3) - INTERVAL 1 HOUR ORDER BY notification_id LIMIT ?`,
    [rows],
  )
  return affectedRows
}

async function retireKeys(connection: Connection, rows: number): Promise<number> {
  const { affectedRows } = await connection.write(
    `DELETE FROM idempotency_key WHERE created_at < NOW(3) - INTERVAL ${idempotencyHours} HOUR ORDER BY created_at LIMIT ?`,
    [rows],
  )
  return affectedRows
}

/** Deletes cancels whose task was not created in time. */
async function retireEarlyCancels(connection: Connection, rows: number): Promise<number> {
  const { affectedRows } = await connection.write(
    'DELETE FROM task WHERE lease_until < NOW(3) AND kind IS NULL ORDER BY lease_until LIMIT ?',
    [rows],
  )
  return affectedRows
}

/** Deletes tasks that have ended. Like notifications, the oldest come first in the primary key. */
async function retireTasks(connection: Connection, days: number, rows: number): Promise<number> {
  const [oldest] = await connection.rows<{ upTo: number | null }>(
    `SELECT MAX(task_number) AS upTo FROM (SELECT task_number, created_at FROM task ORDER BY task_number LIMIT ?) AS oldest
     WHERE created_at < NOW(3) - INTERVAL ? DAY`,
    [rows, days],
  )
  if (!oldest?.upTo) return 0
  const { affectedRows } = await connection.write(
    'DELETE FROM task WHERE task_number <= ? AND lease_until IS NULL AND created_at < NOW(3) - INTERVAL ? DAY',
    [oldest.upTo, days],
  )
  return affectedRows
}

/** Deletes revocations of tokens that have expired. */
async function retireRevocations(connection: Connection, rows: number): Promise<number> {
  const { affectedRows } = await connection.write(
    'DELETE FROM revocation WHERE expires_at < UNIX_TIMESTAMP() ORDER BY expires_at LIMIT ?',
    [rows],
  )
  return affectedRows
}
