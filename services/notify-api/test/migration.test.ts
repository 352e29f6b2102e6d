import { readdir, readFile } from 'node:fs/promises'
import { createDatabase, freeServicePort, spawnOwned, waitFor } from '@tidings/local'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeEach, expect, inject, test } from 'vitest'
import { call, hello, openStack, type Stack } from './fixture/notify-api.ts'
import { type Migration, migrate } from '../src/database/migration.ts'

const name = 'notify_api_migration'
let url: string
const stacks: Stack[] = []

beforeEach(async () => {
  url = await createDatabase(inject('databaseServerUrl'), name)
})
afterAll(() => Promise.all(stacks.map((stack) => stack.close())))

async function rows(sql: string): Promise<RowDataPacket[]> {
  const connection = await createConnection(url)
  const [found] = await connection.query<RowDataPacket[]>(sql)
  await connection.end()
  return found
}

/** Returns the columns of all tables but `text_member`. */
const readColumns = () =>
  rows(
    `SELECT * FROM information_schema.columns WHERE table_schema = '${name}' AND table_name <> 'text_member' ORDER BY table_name, column_name`,
  )

const file = (fileName: string, sql: string, checksum = sql): Migration => ({ name: fileName, sql, checksum })

test('three instances that start at once on an empty database apply everything once', async () => {
  const stack = await openStack('migration_start')
  stacks.push(stack)
  await Promise.all([stack.start(), stack.start(), stack.start()])
  const applied = await stack.rows<{ name: string }>('SELECT name FROM migration ORDER BY name')
  expect(applied.map((row) => row.name).slice(0, 3)).toEqual([
    '0001_notification.sql',
    '0002_outbox.sql',
    '0003_idempotency_key.sql',
  ])
})

test('concurrent migrations apply each file once', async () => {
  const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(url)))
  const names = applied.flat()
  expect(names).toEqual([...new Set(names)])
  expect(await migrate(url)).toEqual([])
})

test('each file can be run again, as after an interrupted start', async () => {
  const names = await migrate(url)
  await rows('DELETE FROM migration')
  expect(await migrate(url)).toEqual(names)
})

test('files are applied once, in the order of their names, and new ones at a later start', async () => {
  const first = [
    file('0001_a.sql', 'CREATE TABLE a (x INT); INSERT INTO a VALUES (1)'),
    file('0002_b.sql', 'ALTER TABLE a ADD y INT'),
  ]
  expect(await migrate(url, first)).toEqual(['0001_a.sql', '0002_b.sql'])
  expect(await migrate(url, [...first, file('0003_c.sql', 'INSERT INTO a VALUES (2, 2)')])).toEqual(['0003_c.sql'])
  expect(await rows('SELECT x, y FROM a ORDER BY x')).toEqual([
    { x: 1, y: null },
    { x: 2, y: 2 },
  ])
})

test('text ids leave the tables of instances without them as they are', async () => {
  const directory = new URL('../migration/', import.meta.url)
  const names = (await readdir(directory)).filter((each) => each < '0010').toSorted()
  const files = await Promise.all(names.map(async (each) => file(each, await readFile(new URL(each, directory), 'utf8'), each)))
  await migrate(url, files.slice(0, -1))
  const before = await readColumns()
  expect(await migrate(url, files)).toEqual(['0009_text_member.sql'])
  expect(await readColumns()).toEqual(before)
})

test('a file that was changed after it was applied stops the start', async () => {
  await migrate(url, [file('0001_a.sql', 'CREATE TABLE a (x INT)')])
  await expect(migrate(url, [file('0001_a.sql', 'CREATE TABLE b (x INT)')])).rejects.toThrow('0001_a.sql was changed')
  expect(await rows("SHOW TABLES LIKE 'b'")).toEqual([])
})

test('a failed file is run again; the files before it are not', async () => {
  const first = file('0001_a.sql', 'CREATE TABLE a (x INT)')
  await expect(migrate(url, [first, file('0002_b.sql', 'CREATE TABLE IF NOT EXISTS b (x INT); BROKEN')])).rejects.toThrow()
  expect(await migrate(url, [first, file('0002_b.sql', 'CREATE TABLE IF NOT EXISTS b (x INT)')])).toEqual(['0002_b.sql'])
})

test('a database migrated by a newer version is left unchanged', async () => {
  await migrate(url, [file('0001_a.sql', 'CREATE TABLE a (x INT)'), file('0009_newer.sql', 'CREATE TABLE b (x INT)')])
  expect(await migrate(url, [file('0001_a.sql', 'CREATE TABLE a (x INT)')])).toEqual([])
})

/** Runs `dist/migrate.js`, as `npm run migrate` and the image do. */
async function runMigrate(MYSQL_URL: string): Promise<{ code: number | null; logs: string }> {
  const args = [new URL('../dist/migrate.js', import.meta.url).pathname]
  const env = { PATH: process.env['PATH'], MYSQL_URL }
  const { exited, logs } = spawnOwned({ name: 'migrate', command: process.execPath, args, env })
  return { code: (await exited).code, logs: logs.join('\n') }
}

test('with MIGRATE=off the service is alive and not ready until migrate has run, changes no table, and serves then', async () => {
  const stack = await openStack('migration_off')
  stacks.push(stack)
  const opsPort = await freeServicePort()
  const lines: string[] = []
  const starting = stack.start({ MIGRATE: 'off', OPS_PORT: String(opsPort) }, { onLine: (line) => lines.push(line) })
  const ops = (path: string) => call(`http://127.0.0.1:${opsPort}${path}`, {})
  await waitFor(async () => (await ops('/ready')).text.includes('migration'), { deadlineMs: 20_000, what: '/ready to name it' })
  expect(await ops('/ready')).toMatchObject({ status: 503, body: { ready: false, failing: ['migration'] } })
  expect(await ops('/live')).toMatchObject({ status: 200 })
  expect(await stack.rows('SHOW TABLES')).toEqual([])
  expect(lines.join('\n')).toMatch(
    /the database lacks 0001_notification\.sql, .*waiting for npm run migrate, since MIGRATE is off/,
  )

  expect(await runMigrate(stack.databaseUrl)).toMatchObject({ code: 0, logs: expect.stringContaining('0001_notification.sql') })
  const api = await starting
  await waitFor(async () => (await ops('/ready')).status === 200, { deadlineMs: 20_000, what: 'readiness' })
  expect(await api.send(hello)).toMatchObject({ status: 201 })
  expect(await runMigrate(stack.databaseUrl)).toMatchObject({ code: 0, logs: expect.stringContaining('"applied":[]') })
})

test('with MIGRATE=off a newer migration is waited for, and one that was changed after it was applied ends the start', async () => {
  const stack = await openStack('migration_older')
  stacks.push(stack)
  await migrate(stack.databaseUrl)
  await stack.rows("DELETE FROM migration WHERE name = '0011_lease.sql'")
  const lines: string[] = []
  const starting = stack.start({ MIGRATE: 'off' }, { onLine: (line) => lines.push(line) })
  await waitFor(() => lines.some((line) => line.includes('the database lacks 0011_lease.sql')), {
    deadlineMs: 20_000,
    what: 'the log of the missing one',
  })
  await stack.rows("UPDATE migration SET checksum = 'other' WHERE name = '0001_notification.sql'")
  await expect(starting).rejects.toThrow(
    /exit code 1\n(?:.*\n)*0001_notification\.sql was changed after it was applied: write a new one instead$/,
  )
})

test.each([
  ['', 'invalid configuration:\n  MYSQL_URL: is required: mysql://user:password@host:3306/tidings'],
  ['mysql://x@127.0.0.1:3306/', 'invalid configuration:\n  MYSQL_URL: names no database'],
])('migrate refuses the MYSQL_URL %j and exits with 1', async (value, message) => {
  expect(await runMigrate(value)).toMatchObject({ code: 1, logs: expect.stringContaining(message) })
})

test('migrate names the file that failed, without a stack', async () => {
  const database = await createDatabase(inject('databaseServerUrl'), 'notify_api_migration_failed')
  const connection = await createConnection(database)
  await connection.query('CREATE VIEW outbox AS SELECT 1')
  await connection.end()
  const { code, logs } = await runMigrate(database)
  expect([code, logs]).toEqual([1, expect.stringMatching(/^MYSQL_URL: \d{4}_\w+\.sql: /m)])
  expect(logs).not.toContain('    at ')
})
