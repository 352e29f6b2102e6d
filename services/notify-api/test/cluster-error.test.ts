import { waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

let stack: Stack
let api: NotifyApi

beforeAll(async () => {
  stack = await openStack('cluster_error')
  api = await stack.start()
})
afterAll(() => stack.close())

const ready = async () => (await fetch(`http://127.0.0.1:${api.opsPort}/ready`)).status

test.each([
  ['a Galera node outside the majority', 1047],
  ['a Galera node that leaves the majority during COMMIT', 1180],
  ['a group replication node outside the majority', 3100],
  ['a conflict that group replication has found', 3101],
  ['a conflict that Galera has found', 1213],
  ['a lock held for too long', 1205],
])('%s leads to 503, and the next post is accepted', async (_case, errno) => {
  const body = { ...hello, memberId: errno }
  await stack.rows(`CREATE TRIGGER cluster_error BEFORE INSERT ON notification FOR EACH ROW
    SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = ${errno}, MESSAGE_TEXT = 'refused by the cluster'`)
  const refused = await api.send(body, { 'idempotency-key': `${errno}` })
  await stack.rows('DROP TRIGGER cluster_error')
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
  expect((await api.send(body, { 'idempotency-key': `${errno}` })).status).toBe(201)
  expect(await stack.rows('SELECT 1 FROM notification WHERE member_id = ?', [errno])).toHaveLength(1)
})

test('the service is ready only while the database reads tables', async () => {
  await waitFor(async () => (await ready()) === 200, { what: 'readiness' })
  await stack.rows('RENAME TABLE migration TO migration_away')
  await waitFor(async () => (await ready()) === 503, { what: 'the end of readiness' })
  await stack.rows('RENAME TABLE migration_away TO migration')
  await waitFor(async () => (await ready()) === 200, { what: 'readiness again' })
})
