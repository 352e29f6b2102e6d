import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createDatabase, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { Database } from '../src/database/database.ts'
import { isTransient } from '../src/database/error.ts'
import { migrate } from '../src/database/migration.ts'

/** A firewall that can forget its connections: it then drops what comes on them, and tells neither end. */
const firewall = createServer()
const connections: { readonly client: Socket; readonly server: Socket; forgotten: boolean }[] = []
const long = process.env['TIDINGS_LONG'] === '1'
let url: URL
let directUrl: string

beforeAll(async () => {
  directUrl = await createDatabase(inject('databaseServerUrl'), 'notify_api_database')
  url = new URL(directUrl)
  const { port, hostname } = url
  firewall.on('connection', (client) => {
    const server = connect(Number(port), hostname)
    const connection = { client, server, forgotten: false }
    connections.push(connection)
    client.on('data', (bytes) => connection.forgotten || server.write(bytes))
    server.on('data', (bytes) => connection.forgotten || client.write(bytes))
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('close', () => connection.forgotten || server.destroy())
    server.on('close', () => connection.forgotten || client.destroy())
  })
  firewall.listen(0, '127.0.0.1')
  await once(firewall, 'listening')
  url.port = String((firewall.address() as AddressInfo).port)
})
afterAll(() => {
  firewall.close()
  for (const { client, server } of connections) for (const socket of [client, server]) socket.destroy()
})

test('connections that a firewall forgot while they were idle are not used', async () => {
  const database = new Database(url.href, { connections: 3, timeoutMs: 5_000, idleMs: 200 })
  const read = () => database.run((connection) => connection.rows('SELECT SLEEP(0.05)'))
  await Promise.all([read(), read(), read()])
  const since = performance.now()
  for (const connection of connections) connection.forgotten = true
  await waitFor(() => performance.now() - since > 250, { what: 'the connections to be idle for too long' })
  expect(await Promise.all([read(), read(), read(), read()])).toHaveLength(4)
  expect(connections.map(({ client }) => client.destroyed)).toEqual([true, true, true, false, false, false])
  await database.close()
})

test('a connection that is used is kept', async () => {
  const before = connections.length
  const database = new Database(url.href, { connections: 1, timeoutMs: 5_000, idleMs: 1_000 })
  const since = performance.now()
  while (performance.now() - since < 1_500) {
    await Promise.all([1, 2].map(() => database.run((connection) => connection.rows('SELECT SLEEP(0.1)'))))
  }
  expect(connections).toHaveLength(before + 1)
  await database.close()
})

/** Locks the row in a transaction of two statements, and calls `between` after the first one. */
const lock = (database: Database, between: () => void) =>
  database.transaction(async (connection) => {
    await connection.rows('SELECT * FROM member_row WHERE id = 1 FOR UPDATE')
    between()
    await connection.rows('SELECT 1')
  })

// The second one is the limit of the services.
test.each([200, ...(long ? [undefined] : [])])(
  'a host that vanishes in a transaction locks its rows for less than 15 s',
  async (idleMs) => {
    const vanishing = new Database(url.href, { connections: 1, timeoutMs: 1_000, ...(idleMs && { idleMs }) })
    const other = new Database(directUrl, { connections: 1, timeoutMs: 5_000 })
    await other.run(async (connection) => {
      await connection.write('CREATE TABLE IF NOT EXISTS member_row (id INT PRIMARY KEY)')
      await connection.write('INSERT IGNORE INTO member_row VALUES (1)')
    })
    const vanished = lock(vanishing, () => {
      for (const connection of connections) connection.forgotten = true
    })
    await expect(vanished).rejects.toThrow('the database does not reply')
    const locked = () =>
      lock(other, () => {}).then(
        () => true,
        (error: unknown) => {
          if (isTransient(error)) return false
          throw error
        },
      )
    await waitFor(locked, { deadlineMs: 15_000, what: 'the row' })
    await Promise.all([vanishing.close(), other.close()])
  },
  30_000,
)

test.runIf(long)(
  'a host that vanishes during a migration does not stop others for long',
  async () => {
    const slow = [{ name: '0001_slow.sql', sql: 'DO SLEEP(0.5)', checksum: '' }]
    const vanished = migrate(url.href, slow).catch(() => 'vanished')
    const connection = await waitFor(() => connections.find(({ client, forgotten }) => !forgotten && !client.destroyed), {
      what: 'the connection of the migration',
    })
    const other = new Database(directUrl, { connections: 1, timeoutMs: 5_000 })
    await waitFor(
      () =>
        other
          .run((each) => each.rows("SELECT 1 FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%'"))
          .then((rows) => rows.length > 0),
      { what: 'the migration' },
    )
    connection.forgotten = true
    expect(await migrate(directUrl, slow)).toEqual(['0001_slow.sql'])
    connection.client.destroy()
    expect(await vanished).toBe('vanished')
    await other.close()
  },
  30_000,
)
