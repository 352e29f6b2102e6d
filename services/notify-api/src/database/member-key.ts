import type { MemberId } from '@tidings/protocol'
import { raw } from 'mysql2'
import type { Connection } from './database.ts'

/** A member as the value of a `member_id` column: the integer id, or `textOffset` plus the number of a text id in `text_member`. */
export type MemberKey = number | ReturnType<typeof raw>

/** 2^53, greater than every integer id. */
const textOffset = '9007199254740992'
/** Equals no `member_id`. */
const unknownMember = raw('NULL')

/** The column `textId` of a {@link StoredMember}, in a query of any table with `member_id`. */
export const textIdColumn = `IF(member_id < ${textOffset}, NULL,
  (SELECT text_id FROM text_member WHERE member_number = CAST(member_id AS SIGNED) - ${textOffset})) AS textId`

/** The member of a row, read with {@link textIdColumn}. */
export interface StoredMember {
  /** `member_id`: not a number that JavaScript keeps exactly when `textId` is present. */
  readonly memberId: number | string
  readonly textId: string | null
}

/** Returns a key as the text of a `member_id`. */
export function keyText(key: MemberKey): string {
  return typeof key === 'number' ? String(key) : key.toSqlString()
}

export function memberIdOf({ memberId, textId }: StoredMember): MemberId {
  return textId ?? Number(memberId)
}

export function memberKeyOf({ memberId }: StoredMember): MemberKey {
  return typeof memberId === 'number' ? memberId : raw(memberId)
}

/** Returns the key with which to read the rows of a member. A text id for which nothing is stored gets a key without rows. */
export async function findMember(connection: Connection, memberId: MemberId): Promise<MemberKey> {
  if (typeof memberId === 'number') return memberId
  return (await readKeys(connection, [memberId])).get(memberId) ?? unknownMember
}

/** Returns the keys of {@link findMember} for several members, in their order. */
export async function findMembers(connection: Connection, memberIds: readonly MemberId[]): Promise<MemberKey[]> {
  const textIds = memberIds.filter((id) => typeof id === 'string')
  const keys = textIds.length > 0 ? await readKeys(connection, textIds) : undefined
  return memberIds.map((id) => (typeof id === 'number' ? id : (keys?.get(id) ?? unknownMember)))
}

/** Returns the key with which to write rows of a member. Stores a new text id, within the caller's transaction. */
export async function storeMember(connection: Connection, memberId: MemberId): Promise<MemberKey> {
  if (typeof memberId === 'number') return memberId
  return (await storeMembers(connection, [memberId])).get(memberId) as MemberKey
}

/** Returns the keys of text ids. Stores the new ones, within the caller's transaction. */
export async function storeMembers(
  connection: Connection,
  textIds: readonly string[],
): Promise<ReadonlyMap<MemberId, MemberKey>> {
  const distinct = [...new Set(textIds)]
  if (distinct.length === 0) return new Map()
  const known = await readKeys(connection, distinct)
  // Sorted, so that transactions with the same new ids wait for each other instead of deadlocking.
  const missing = distinct.filter((id) => !known.has(id)).toSorted()
  if (missing.length === 0) return known
  await connection.write('INSERT IGNORE INTO text_member (text_id) VALUES ?', [missing.map((id) => [id])])
  return readKeys(connection, distinct)
}

async function readKeys(connection: Connection, textIds: readonly string[]): Promise<Map<MemberId, MemberKey>> {
  // As text: JavaScript would round the sum.
  const rows = await connection.rows<{ textId: string; sum: string }>(
    `SELECT text_id AS textId, CAST(member_number + ${textOffset} AS CHAR) AS sum FROM text_member WHERE text_id IN (?)`,
    [textIds],
  )
  return new Map(rows.map(({ textId, sum }) => [textId, raw(sum)]))
}
