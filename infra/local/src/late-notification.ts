import { createConnection, type ResultSetHeader } from 'mysql2/promise'

/** A notification whose id is given, and which no other transaction sees before `commit`. */
export interface LateNotification {
  readonly notificationId: number
  /** Stores it. The sweep of notify-api then publishes it. */
  commit(): Promise<void>
}

/** Inserts a notification as a slow instance of notify-api does. A `memberId` of 0 makes it a broadcast. */
export async function openLateNotification(databaseUrl: string, memberId: number, message = 'late'): Promise<LateNotification> {
  const connection = await createConnection(databaseUrl)
  await connection.beginTransaction()
  const [{ insertId }] = await connection.query<ResultSetHeader>(
    "INSERT INTO notification (member_id, message, redirect_path) VALUES (?, ?, '/')",
    [memberId, message],
  )
  // Old enough for the next sweep.
  await connection.query('INSERT INTO outbox (notification_id, created_at) VALUES (?, NOW(3) - INTERVAL 1 DAY)', [insertId])
  return {
    notificationId: insertId,
    async commit() {
      await connection.commit()
      await connection.end()
    },
  }
}
