import { createConnection, type RowDataPacket } from 'mysql2/promise'

export interface StoredReach {
  /** Returns the ids of a member's notifications that a device has received. */
  received(memberId: number): Promise<number[]>
  /** Returns the number of escalations that are not delivered yet. */
  waiting(): Promise<number>
  /** Returns the endpoints of a member's push subscriptions, the oldest first. */
  endpoints(memberId: number): Promise<string[]>
  close(): Promise<void>
}

/** Reads what notify-api stores of members without an open tab, with statements of its own. */
export async function openStoredReach(databaseUrl: string): Promise<StoredReach> {
  const connection = await createConnection({ uri: databaseUrl, decimalNumbers: true })
  async function column<Value>(statement: string, parameters: (number | string)[]): Promise<Value[]> {
    const [rows] = await connection.query<(RowDataPacket & { readonly value: Value })[]>(statement, parameters)
    return rows.map(({ value }) => value)
  }
  return {
    received: (memberId) =>
      column('SELECT notification_id AS value FROM notification WHERE member_id = ? AND received = 1 ORDER BY notification_id', [
        memberId,
      ]),
    waiting: async () => (await column<number>("SELECT COUNT(*) AS value FROM escalation WHERE state = 'waiting'", []))[0] ?? 0,
    endpoints: (memberId) =>
      column('SELECT endpoint AS value FROM push_subscription WHERE member_id = ? ORDER BY subscription_id', [memberId]),
    close: () => connection.end(),
  }
}
