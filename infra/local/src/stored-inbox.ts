import { createConnection, type RowDataPacket } from 'mysql2/promise'

/** A notification of a member, as it is stored. */
export interface StoredItem {
  readonly id: number
  readonly isRead: number
  readonly seen: number
  readonly archived: number
}

export interface StoredInbox {
  /** Returns everything that is stored of the member, newest first, from the rows themselves. */
  read(): Promise<StoredItem[]>
  close(): Promise<void>
}

/** Reads the inbox of a member with statements of its own, to compare it with what notify-api and devices say. */
export async function openStoredInbox(databaseUrl: string, memberId: number): Promise<StoredInbox> {
  const connection = await createConnection({ uri: databaseUrl, timezone: 'Z', decimalNumbers: true })
  await connection.query("SET time_zone = '+00:00'")
  return {
    async read() {
      const [rows] = await connection.query<(RowDataPacket & StoredItem)[]>(
        `SELECT n.notification_id AS id, n.read_at IS NOT NULL AS isRead, n.seen, n.archived FROM notification AS n
         WHERE n.member_id = ? AND (n.expires_at IS NULL OR n.expires_at > NOW(3))
         UNION ALL
         SELECT n.notification_id,
           EXISTS (SELECT 1 FROM broadcast_read AS r WHERE r.member_id = ? AND r.notification_id = n.notification_id),
           COALESCE(s.seen, 0), COALESCE(s.archived, 0)
         FROM notification AS n LEFT JOIN broadcast_state AS s ON s.member_id = ? AND s.notification_id = n.notification_id
         WHERE n.member_id = 0 AND COALESCE(s.removed, 0) = 0 AND (n.expires_at IS NULL OR n.expires_at > NOW(3))
         ORDER BY id DESC`,
        [memberId, memberId, memberId],
      )
      return rows
    },
    close: () => connection.end(),
  }
}
