import { type Log, Recurring } from '@tidings/chassis'
import { maxIdsPerReadMessage, type MemberId } from '@tidings/protocol'
import type { Connection, Database } from '../database/database.ts'
import type { Lease } from '../database/lease.ts'
import { memberIdOf, textIdColumn } from '../database/member-key.ts'
import type { InboxMembers } from '../notification/inbox-member.ts'
import { allMembers } from '../notification/published-body.ts'
import { removeBroadcasts, removeFromInbox } from '../notification/read-store.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { OutboxRow } from '../outbox/row.ts'

export interface ExpiryOptions {
  readonly database: Database
  readonly members: InboxMembers
  readonly lease: Lease
  readonly outbox: Pick<Outbox, 'publish'>
  readonly log: Log
}

interface DueRow {
  readonly expiresAt: Date
  readonly notificationId: number
  /** Null when the notification is no longer stored. */
  readonly memberId: number | string | null
  readonly textId: string | null
}

const intervalMs = 1_000
/** What a batch removes of one member fits into one ReadMessage. */
const batchRows = maxIdsPerReadMessage

/**
 * Deletes notifications soon after their `expiresAt`. From that time on they are neither listed nor counted; this reports the removal to the
 * devices. One instance does it at a time. A member whose notifications cannot be deleted is left to the next pass.
 */
export class Expiry {
  readonly #options: ExpiryOptions
  readonly #passes: Recurring

  constructor(options: ExpiryOptions) {
    this.#options = options
    this.#passes = new Recurring({
      intervalMs,
      run: (closing) => this.#pass(closing),
      log: options.log,
      failure: 'expired notifications cannot be deleted',
    })
  }

  async close(): Promise<void> {
    await this.#passes.close()
    // Without the database, the lease expires.
    await this.#options.lease.release().catch(() => {})
  }

  async #pass(closing: AbortSignal): Promise<void> {
    const { database, lease } = this.#options
    let failure: unknown
    for (let after: DueRow | undefined, more = true; more && !closing.aborted && (await lease.hold()); ) {
      const rows = await database.run((connection) => dueAfter(connection, after))
      for (const [memberId, batch] of byMember(rows)) {
        if (closing.aborted || !(await lease.hold())) return
        await this.#remove(memberId, batch).catch((error: unknown) => (failure ??= error))
      }
      after = rows.at(-1)
      more = rows.length === batchRows
    }
    if (failure !== undefined) throw failure
  }

  async #remove(memberId: MemberId | undefined, rows: readonly DueRow[]): Promise<void> {
    const { database, members, outbox } = this.#options
    const ids = rows.map(({ notificationId }) => notificationId)
    const event = await database.transaction(async (connection) => {
      const removed = memberId === undefined ? undefined : await removal(connection, members, memberId, ids)
      // By primary key: a scan would wait for rows that are not committed yet.
      await connection.write(
        'DELETE due FROM notification_expiry AS due FORCE INDEX (PRIMARY) WHERE due.notification_id IN (?)',
        [ids],
      )
      return removed
    })
    if (event) await outbox.publish([event])
  }
}

function removal(
  connection: Connection,
  members: InboxMembers,
  memberId: MemberId,
  ids: number[],
): Promise<OutboxRow | undefined> {
  return memberId === allMembers ? removeBroadcasts(connection, ids) : removeFromInbox(connection, members, memberId, ids)
}

function dueAfter(connection: Connection, after: DueRow | undefined): Promise<DueRow[]> {
  return connection.rows<DueRow>(
    `SELECT e.expires_at AS expiresAt, e.notification_id AS notificationId, member_id AS memberId, ${textIdColumn}
     FROM notification_expiry AS e FORCE INDEX (notification_expiry_due) LEFT JOIN notification AS n ON n.notification_id = e.notification_id
     WHERE e.expires_at <= NOW(3)${after ? ' AND (e.expires_at > ? OR e.expires_at = ? AND e.notification_id > ?)' : ''}
     ORDER BY e.expires_at, e.notification_id LIMIT ${batchRows}`,
    after ? [after.expiresAt, after.expiresAt, after.notificationId] : [],
  )
}

/** Groups rows by member. Those of notifications that are no longer stored are the group `undefined`. */
function byMember(rows: readonly DueRow[]): Map<MemberId | undefined, DueRow[]> {
  const groups = new Map<MemberId | undefined, DueRow[]>()
  for (const row of rows) {
    const { memberId, textId } = row
    const member = memberId === null ? undefined : memberIdOf({ memberId, textId })
    const group = groups.get(member)
    if (group) group.push(row)
    else groups.set(member, [row])
  }
  return groups
}
