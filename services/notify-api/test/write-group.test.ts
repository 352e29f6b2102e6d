import { createDatabase } from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { Database } from '../src/database/database.ts'
import { migrate } from '../src/database/migration.ts'
import { groupEntry, writeGroup } from '../src/notification/write-group.ts'
import type { OutboxRow } from '../src/outbox/row.ts'

let database: Database

beforeAll(async () => {
  const url = await createDatabase(inject('databaseServerUrl'), 'notify_api_write_group')
  await migrate(url)
  database = new Database(url, { connections: 1, timeoutMs: 15_000, scripts: true })
})
afterAll(() => database.close())

test.each([1, 3, 2, 7, 1])('ids are those of the rows after the step of the open connection became %i', async (step) => {
  await database.run((connection) => connection.write(`SET SESSION auto_increment_increment = ${step}`))
  const content = { message: `step ${step}`, redirectPath: '/', key: undefined, traceparent: undefined }
  for (const group of [[[1]], [[1, 2, 3]], [[1], [2, 3], [4]]]) {
    const published: OutboxRow[] = []
    const publishEach = (rows: readonly OutboxRow[]) => rows.map(async (row) => published.push(row) > 0)
    const stored = await writeGroup(
      group.map((memberIds) => groupEntry({ ...content, memberIds })),
      { database, outbox: { publishEach }, onCommit: () => {} },
    )
    const ids = stored.map(({ notificationIds }) => notificationIds)
    const rows = await database.transaction((connection) =>
      connection.rows<{ notificationId: number; outboxId: number }>(
        `SELECT n.notification_id AS notificationId, o.outbox_id AS outboxId
         FROM outbox AS o JOIN notification AS n USING (notification_id) ORDER BY o.outbox_id`,
      ),
    )
    expect(ids.flat()).toEqual(rows.map(({ notificationId }) => notificationId))
    expect(published.map(({ outboxId }) => outboxId)).toEqual(rows.map(({ outboxId }) => outboxId))
    await database.transaction((connection) => connection.write('DELETE FROM outbox'))
  }
})
