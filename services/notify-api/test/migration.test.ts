import { readdir, readFile } from 'node:fs/promises'
import { createDatabase } from '@tidings/local'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeEach, expect, inject, test } from 'vitest'
import { openStack, type Stack } from './fixture/notify-api.ts'
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
