import type { NotificationStatus } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import { memberIdOf, type StoredMember, textIdColumn } from '../database/member-key.ts'
import type { Statement } from './inbox-store.ts'
import { allMembers, channelOf } from './published-body.ts'

interface StatusRow extends StoredMember {
  readonly notificationId: number
  readonly createdAt: Date
  readonly received: number
  readonly seen: number
  readonly readAt: Date | null
  readonly archived: number
}

interface EscalationRow {
  readonly notificationId: number
  readonly way: 'push' | 'webhook'
  readonly state: NonNullable<NotificationStatus['push']>
}

/** Newest rows of the outbox, among which those are that are not deferred: the sweep defers a row that was not published for seconds. */
const newestOutboxRows = 20_000

/** Reads what became of notifications. Broadcasts are not among them: their state is that of each member. */
export class StatusStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Returns the notifications that are stored, in the order of their ids in the call. */
  of(notificationIds: readonly number[]): Promise<NotificationStatus[]> {
    return this.#database.run(async (connection) => {
      const rows = await connection.rows<StatusRow>(...statusRows(notificationIds))
      if (rows.length === 0) return []
      const found = new Map(rows.map((row) => [row.notificationId, row]))
      const unpublished = await readUnpublished(connection, rows)
      const escalations = await readEscalations(connection, [...found.keys()])
      return [...new Set(notificationIds)].flatMap((id) => {
        const row = found.get(id)
        if (!row) return []
        const status = statusOf(row)
        // What was published leaves the outbox a second later.
        return [{ ...status, published: status.received || !unpublished.has(id), ...escalations.get(id) }]
      })
    })
  }
}

function statusOf(row: StatusRow) {
  const { notificationId, createdAt, received, seen, readAt, archived } = row
  const isSeen = seen === 1 || readAt !== null
  return {
    notificationId,
    memberId: memberIdOf(row),
    createdAt: createdAt.toISOString(),
    received: received === 1 || isSeen || archived === 1,
    seen: isSeen,
    readAt: readAt?.toISOString() ?? null,
    archived: archived === 1,
    push: null,
    webhook: null,
  }
}

/** @internal exported for the test of its query plan */
export function statusRows(notificationIds: readonly number[]): Statement {
  return [
    `SELECT notification_id AS notificationId, member_id AS memberId, ${textIdColumn}, created_at AS createdAt, received, seen,
       read_at AS readAt, archived
     FROM notification FORCE INDEX (PRIMARY) WHERE notification_id IN (?) AND member_id > ${allMembers}`,
    [notificationIds],
  ]
}

/** Returns the ids of those that are still in the outbox. They are looked for where they can be: it has no index of notifications. */
async function readUnpublished(connection: Connection, rows: readonly StatusRow[]): Promise<ReadonlySet<number>> {
  const ids = rows.map(({ notificationId }) => notificationId)
  const channels = [...new Set(rows.map((row) => channelOf(memberIdOf(row))))]
  const found = [
    ...(await connection.rows<{ id: number }>(...newestUnpublished(ids))),
    ...(await connection.rows<{ id: number }>(...deferredUnpublished(ids, channels))),
  ]
  return new Set(found.map(({ id }) => id))
}

/** @internal exported for the test of its query plan */
export function newestUnpublished(ids: readonly number[]): Statement {
  return [
    `SELECT id FROM (SELECT notification_id AS id FROM outbox ORDER BY outbox_id DESC LIMIT ${newestOutboxRows}) AS newest WHERE id IN (?)`,
    [ids],
  ]
}

/** @internal exported for the test of its query plan */
export function deferredUnpublished(ids: readonly number[], channels: readonly string[]): Statement {
  return [
    `SELECT o.notification_id AS id FROM outbox_deferred AS d FORCE INDEX (outbox_deferred_channel)
     STRAIGHT_JOIN outbox AS o ON o.outbox_id = d.outbox_id WHERE d.channel IN (?) AND o.notification_id IN (?)`,
    [channels, ids],
  ]
}

async function readEscalations(
  connection: Connection,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Partial<Pick<NotificationStatus, 'push' | 'webhook'>>>> {
  const states = new Map<number, Partial<Pick<NotificationStatus, 'push' | 'webhook'>>>()
  for (const { notificationId, way, state } of await connection.rows<EscalationRow>(...escalationStates(ids))) {
    states.set(notificationId, { ...states.get(notificationId), [way]: state })
  }
  return states
}

/** @internal exported for the test of its query plan */
export function escalationStates(ids: readonly number[]): Statement {
  return [
    `SELECT notification_id AS notificationId, way, state FROM escalation FORCE INDEX (PRIMARY) WHERE notification_id IN (?)`,
    [ids],
  ]
}
