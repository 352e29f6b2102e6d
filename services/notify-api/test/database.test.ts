import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createDatabase, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { Database } from '../src/database/database.ts'

/** A firewall that can forget its connections: it then drops what comes on them, and tells neither end. */
const firewall = createServer()
const connections: { readonly client: Socket; forgotten: boolean }[] = []
let url: URL

beforeAll(async () => {
  url = new URL(await createDatabase(inject('databaseServerUrl'), 'notify_api_database'))
  const { port, hostname } = url
  firewall.on('connection', (client) => {
    const server = connect(Number(port), hostname)
    const connection = { client, forgotten: false }
    connections.push(connection)
    client.on('data', (bytes) => connection.forgotten || server.write(bytes))
    server.on('data', (bytes) => connection.forgotten || client.write(bytes))
    for (const socket of [client, server]) socket.on('error', () => {})
    client.on('close', () => server.destroy())
    server.on('close', () => connection.forgotten || client.destroy())
  })
  firewall.listen(0, '127.0.0.1')
  await once(firewall, 'listening')
  url.port = String((firewall.address() as AddressInfo).port)
})
afterAll(() => {
  firewall.close()
  for (const { client } of connections) client.destroy()
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
