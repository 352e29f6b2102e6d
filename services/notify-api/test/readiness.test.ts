import { type DatabaseServer, startDatabase, waitFor } from '@tidings/local'
import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call, hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

const privileges = ['Select', 'Insert', 'Update', 'Delete', 'Create', 'Drop', 'Alter', 'Index', 'References', 'Lock_tables'].map(
  (name) => `${name}_priv`,
)

let stack: Stack
/** A server of its own, because a test makes it read-only. */
let database: DatabaseServer
/** URL of a user without the privilege to write to a read-only server. */
let userUrl: string

beforeAll(async () => {
  stack = await openStack('readiness')
  database = await startDatabase()
  // Written to the table, because the administrator cannot GRANT.
  await asAdministrator(
    "CREATE USER 'service'@'%' IDENTIFIED BY 'service'",
    `INSERT INTO mysql.db (Host, Db, User, ${privileges.join(', ')}) VALUES ('%', 'tidings', 'service', ${privileges.map(() => "'Y'").join(', ')})`,
    'FLUSH PRIVILEGES',
  )
  const url = new URL(database.url)
  url.username = 'service'
  url.password = 'service'
  userUrl = url.href
}, 60_000)
afterAll(async () => {
  await stack.close()
  await database.stop()
})

async function asAdministrator(...statements: readonly string[]): Promise<void> {
  const connection = await createConnection(database.url)
  for (const sql of statements) await connection.query(sql)
  await connection.end()
}

/** Waits until the status and the body of `/ready` are these. */
async function untilReadyIs(api: NotifyApi, status: number, body: object): Promise<void> {
  const expected = JSON.stringify([status, body])
  const ready = async () => {
    const response = await call(`http://127.0.0.1:${api.opsPort}/ready`, {})
    return JSON.stringify([response.status, response.body])
  }
  await waitFor(async () => (await ready()) === expected, { deadlineMs: 20_000, what: `/ready to be ${expected}` })
}

test('MySQL that is read-only: not ready while posts are refused, and ready again afterwards', async () => {
  const api = await stack.start({ MYSQL_URL: userUrl })
  await untilReadyIs(api, 200, { ready: true, failing: [], degraded: [] })
  await asAdministrator('SET GLOBAL read_only = 1')
  expect(await api.send(hello)).toMatchObject({ status: 503 })
  await untilReadyIs(api, 503, { ready: false, failing: ['mysql'], degraded: [] })
  await asAdministrator('SET GLOBAL read_only = 0')
  await untilReadyIs(api, 200, { ready: true, failing: [], degraded: [] })
  expect(await api.send(hello)).toMatchObject({ status: 201 })
  await api.stop()
}, 60_000)

test('a user that may write to a read-only MySQL: ready, and posts are accepted', async () => {
  const api = await stack.start({ MYSQL_URL: database.url })
  await asAdministrator('SET GLOBAL read_only = 1')
  expect(await api.send(hello)).toMatchObject({ status: 201 })
  await untilReadyIs(api, 200, { ready: true, failing: [], degraded: [] })
  await asAdministrator('SET GLOBAL read_only = 0')
  await api.stop()
}, 60_000)

test('Redis that is gone: ready but degraded, and posts are accepted', async () => {
  const api = await stack.start({ PUBLISH_TIMEOUT_MS: '1000' })
  await stack.redis.kill()
  expect(await api.send(hello)).toMatchObject({ status: 201 })
  await untilReadyIs(api, 200, { ready: true, failing: [], degraded: ['redis'] })
  expect(await api.send(hello)).toMatchObject({ status: 201 })
  await api.stop()
}, 60_000)
