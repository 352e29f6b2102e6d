import type { MemberId } from '@tidings/protocol'
import type { Connection } from '../database/database.ts'
import { findMember, findMembers, keyText, type MemberKey, storeMember } from '../database/member-key.ts'
import { allMembers } from './published-body.ts'

/** A member, as the queries of its inbox need it. */
export interface InboxMember {
  readonly key: MemberKey
  /** The member has the broadcasts with greater ids. */
  readonly broadcastAfter: number
}

/**
 * Knows from which broadcast on a member has them. A member is first seen with its first call that concerns the inbox: from then on it has
 * the broadcasts of the last `lookbackDays`, and all later ones.
 */
export class InboxMembers {
  readonly #lookbackDays: number

  constructor(lookbackDays: number) {
    this.#lookbackDays = lookbackDays
  }

  /** Returns the member that makes a call, and stores that it was seen. */
  async see(connection: Connection, memberId: MemberId): Promise<InboxMember> {
    const key = await findMember(connection, memberId)
    const stored = (await readStored(connection, [key])).get(keyText(key))
    if (stored !== undefined) return { key, broadcastAfter: stored }
    const broadcastAfter = await this.#lookback(connection)
    return { key: await storeSeen(connection, memberId, broadcastAfter), broadcastAfter }
  }

  /** Returns the member without storing anything. */
  async find(connection: Connection, memberId: MemberId): Promise<InboxMember> {
    const [member] = await this.findAll(connection, [memberId])
    return member as InboxMember
  }

  /** Returns members, in the order of their ids, without storing anything. */
  async findAll(connection: Connection, memberIds: readonly MemberId[]): Promise<InboxMember[]> {
    const keys = await findMembers(connection, memberIds)
    const stored = await readStored(connection, keys)
    const lookback = keys.every((key) => stored.has(keyText(key))) ? 0 : await this.#lookback(connection)
    return keys.map((key) => ({ key, broadcastAfter: stored.get(keyText(key)) ?? lookback }))
  }

  /** Returns the id of the newest broadcast that a member first seen now does not have; 0 when it has all. */
  async #lookback(connection: Connection): Promise<number> {
    const [row] = await connection.rows<{ id: number }>(
      `SELECT notification_id AS id FROM notification FORCE INDEX (notification_page)
       WHERE member_id = ${allMembers} AND archived = 0 AND created_at < NOW(3) - INTERVAL ? DAY
       ORDER BY notification_id DESC LIMIT 1`,
      [this.#lookbackDays],
    )
    return row?.id ?? 0
  }
}

async function readStored(connection: Connection, keys: readonly MemberKey[]): Promise<Map<string, number>> {
  const rows = await connection.rows<{ id: number | string; broadcastAfter: number }>(
    `SELECT member_id AS id, broadcast_after AS broadcastAfter FROM member_state
     WHERE member_id IN (?) AND broadcast_after IS NOT NULL`,
    [keys],
  )
  return new Map(rows.map(({ id, broadcastAfter }) => [String(id), broadcastAfter]))
}

async function storeSeen(connection: Connection, memberId: MemberId, broadcastAfter: number): Promise<MemberKey> {
  const key = await storeMember(connection, memberId)
  await connection.write(
    `INSERT INTO member_state (member_id, revision, broadcast_after) VALUES (?, 0, ?)
     ON DUPLICATE KEY UPDATE broadcast_after = COALESCE(broadcast_after, VALUES(broadcast_after))`,
    [key, broadcastAfter],
  )
  return key
}
