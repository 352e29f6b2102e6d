import type { Urgency } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import { memberIdOf, memberKeyOf, type StoredMember, textIdColumn } from '../database/member-key.ts'
import { notExpired, type Statement } from '../notification/inbox-store.ts'
import type { Escalated } from './deliverer.ts'
import type { Way } from './way.ts'

/** An escalation that this instance delivers. */
export interface Claim {
  readonly notificationId: number
  readonly urgency: Urgency
  readonly attempts: number
}

/** How the delivery of an escalation ended. */
export interface Settlement {
  readonly notificationId: number
  readonly outcome: 'sent' | 'retry' | 'dead' | 'deleted'
  /** Time until the next delivery of one that is retried. */
  readonly afterMs: number
  readonly reason: string | undefined
}

/** The escalations of one way. */
export interface EscalationBacklog {
  /** Rows, counted up to 100,000. */
  readonly waiting: number
  /** Rows that could be delivered now, counted likewise. */
  readonly due: number
  readonly dead: number
  readonly oldestDueAgeMs: number
}

interface NeededRow extends StoredMember {
  readonly notificationId: number
  readonly message: string
  readonly redirectPath: string
  readonly data: string | null
  readonly kind: string | null
  readonly count: number
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly collapseKey: string | null
}

/** How long a claimed escalation is hidden from other instances: longer than a delivery takes. */
const claimMs = 10_000
/** Length of the column. */
const maxReasonLength = 255
const maxCounted = 100_000

/** Condition for `notification AS n`: what a member has seen in any way needs no escalation. */
const unseen = `n.seen = 0 AND n.read_at IS NULL AND n.archived = 0 AND ${notExpired}`
const needed: Readonly<Record<Way, string>> = { push: `n.received = 0 AND ${unseen}`, webhook: unseen }

/** The table of what goes out to members without an open tab. */
export class EscalationStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Claims escalations that are due, the oldest first. Returns also whether there may be more of them. */
  claim(way: Way, holder: string, limit: number): Promise<{ readonly claims: readonly Claim[]; readonly more: boolean }> {
    return this.#database.run(async (connection) => {
      // A plain read: it does not wait for rows that are not committed yet.
      const due = await connection.rows<{ notificationId: number }>(...dueRows(way, limit))
      if (due.length === 0) return { claims: [], more: false }
      const ids = due.map(({ notificationId }) => notificationId)
      // Without a transaction, so that an instance that vanishes leaves no locks.
      const { affectedRows } = await connection.write(
        `UPDATE escalation FORCE INDEX (PRIMARY) SET due_at = NOW(3) + INTERVAL ? MICROSECOND, holder = ?, attempts = attempts + 1
         WHERE notification_id IN (?) AND way = ? AND state = 'waiting' AND due_at <= NOW(3)`,
        [claimMs * 1_000, holder, ids, way],
      )
      const claims = affectedRows > 0 ? await claimed(connection, way, holder, ids) : []
      return { claims, more: due.length === limit }
    })
  }

  /** Returns what is still to be delivered of these claims: the member has neither seen it nor, for a push, received it. */
  async needed(way: Way, claims: readonly Claim[]): Promise<Escalated[]> {
    const rows = await this.#database.run((connection) =>
      connection.rows<NeededRow>(
        `SELECT notification_id AS notificationId, member_id AS memberId, ${textIdColumn}, message, redirect_path AS redirectPath, data,
           kind, count, created_at AS createdAt, expires_at AS expiresAt, (
             SELECT c.collapse_key FROM collapse AS c WHERE c.notification_id = n.notification_id AND c.member_id = n.member_id LIMIT 1
           ) AS collapseKey
         FROM notification AS n FORCE INDEX (PRIMARY) WHERE n.notification_id IN (?) AND ${needed[way]}`,
        [claims.map(({ notificationId }) => notificationId)],
      ),
    )
    const byId = new Map(rows.map((row) => [row.notificationId, row]))
    return claims.flatMap((claim) => {
      const row = byId.get(claim.notificationId)
      return row ? [escalatedOf(row, claim)] : []
    })
  }

  /** Stores how deliveries have ended. Repeating it is safe. */
  async settle(way: Way, holder: string, settlements: readonly Settlement[]): Promise<void> {
    const idsWith = (outcome: Settlement['outcome']) =>
      settlements.filter((one) => one.outcome === outcome).map(({ notificationId }) => notificationId)
    const sent = idsWith('sent')
    const deleted = idsWith('deleted')
    const failed = settlements.filter(({ outcome }) => outcome === 'retry' || outcome === 'dead')
    await this.#database.run(async (connection) => {
      // Also when another instance has claimed it since: delivering it again would repeat it.
      if (sent.length > 0) {
        await connection.write(
          "UPDATE escalation FORCE INDEX (PRIMARY) SET state = 'sent', reason = NULL WHERE notification_id IN (?) AND way = ?",
          [sent, way],
        )
      }
      if (deleted.length > 0) {
        await connection.write(
          `DELETE gone FROM escalation AS gone FORCE INDEX (PRIMARY)
           WHERE gone.notification_id IN (?) AND gone.way = ? AND gone.state = 'waiting'`,
          [deleted, way],
        )
      }
      if (failed.length > 0) await connection.write(...failures(way, holder, failed))
    })
  }

  /** Makes pushes due that no delivery was begun of. */
  async expedite(notificationIds: readonly number[]): Promise<void> {
    await this.#database.run((connection) =>
      connection.write(
        `UPDATE escalation FORCE INDEX (PRIMARY) SET due_at = NOW(3)
         WHERE notification_id IN (?) AND way = 'push' AND state = 'waiting' AND attempts = 0`,
        [notificationIds],
      ),
    )
  }

  async backlog(way: Way): Promise<EscalationBacklog> {
    const [row] = await this.#database.run((connection) =>
      connection.rows<EscalationBacklog>(
        `SELECT ${counted("state = 'waiting'")} AS waiting, ${counted("state = 'waiting' AND due_at <= NOW(3)")} AS due,
           ${counted("state = 'dead'")} AS dead, COALESCE((
             SELECT GREATEST(TIMESTAMPDIFF(MICROSECOND, MIN(due_at), NOW(3)) DIV 1000, 0) FROM escalation WHERE way = ? AND state = 'waiting'
           ), 0) AS oldestDueAgeMs`,
        [way, way, way, way],
      ),
    )
    return row ?? { waiting: 0, due: 0, dead: 0, oldestDueAgeMs: 0 }
  }
}

/** Returns a subquery whose value is the number of rows of one way. */
function counted(condition: string): string {
  return `(SELECT COUNT(*) FROM (
    SELECT 1 FROM escalation FORCE INDEX (escalation_due) WHERE way = ? AND ${condition} LIMIT ${maxCounted}
  ) AS counted)`
}

/** @internal exported for the test of its query plan */
export function dueRows(way: Way, limit: number): Statement {
  return [
    `SELECT notification_id AS notificationId FROM escalation FORCE INDEX (escalation_due)
     WHERE way = ? AND state = 'waiting' AND due_at <= NOW(3) ORDER BY due_at, notification_id LIMIT ?`,
    [way, limit],
  ]
}

function claimed(connection: Connection, way: Way, holder: string, ids: readonly number[]): Promise<Claim[]> {
  return connection.rows<Claim>(
    `SELECT notification_id AS notificationId, urgency, attempts FROM escalation FORCE INDEX (PRIMARY)
     WHERE notification_id IN (?) AND way = ? AND state = 'waiting' AND holder = ? AND due_at > NOW(3)`,
    [ids, way, holder],
  )
}

/** Only while the claim holds: otherwise, another instance delivers or has delivered it. */
function failures(way: Way, holder: string, failed: readonly Settlement[]): Statement {
  const row = 'SELECT ? AS id, ? AS state, ? AS after_us, ? AS reason'
  return [
    `UPDATE (${failed.map(() => row).join(' UNION ALL ')}) AS failed
     STRAIGHT_JOIN escalation AS e FORCE INDEX (PRIMARY) ON e.notification_id = failed.id AND e.way = ?
     SET e.state = failed.state, e.due_at = NOW(3) + INTERVAL failed.after_us MICROSECOND, e.reason = failed.reason
     WHERE e.state = 'waiting' AND e.holder = ?`,
    [
      ...failed.flatMap(({ notificationId, outcome, afterMs, reason = '' }) => [
        notificationId,
        outcome === 'dead' ? 'dead' : 'waiting',
        Math.round(afterMs * 1_000),
        reason.slice(0, maxReasonLength),
      ]),
      way,
      holder,
    ],
  ]
}

function escalatedOf(row: NeededRow, { urgency, attempts }: Claim): Escalated {
  const { notificationId, message, redirectPath, data, kind, count, createdAt, expiresAt, collapseKey } = row
  return {
    notificationId,
    memberId: memberIdOf(row),
    memberKey: memberKeyOf(row),
    message,
    ...(redirectPath !== '' && { redirectPath }),
    ...(data !== null && { data: JSON.parse(data) as Record<string, unknown> }),
    ...(kind !== null && { kind }),
    count,
    createdAt,
    ...(expiresAt !== null && { expiresAt }),
    ...(collapseKey !== null && { collapseKey }),
    urgency,
    attempts,
  }
}
