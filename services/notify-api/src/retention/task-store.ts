import type { Connection } from '../database/database.ts'

/** Tasks that are over. Numbers grow with time, so the oldest are found at the beginning of the primary key. */
export async function retireTasks(connection: Connection, days: number, rows: number): Promise<number> {
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
