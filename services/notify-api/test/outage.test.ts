import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DatabaseServer, startDatabase, waitFor } from '@tidings/local'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type Listener, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { type PostLoad, postLoad } from './fixture/post-load.ts'
import { openRelay, type Relay } from './fixture/relay.ts'

/** Longer than each timeout of the instances. */
const outageMs = 5_000
/** The sum of the waits for a group, a connection and a statement, with a margin for a busy machine. */
const responseBoundMs = 15_000
const memberId = 1
const channel = `member:${memberId}:notification`

const directory = mkdtempSync(join(tmpdir(), 'tidings-outage-'))
let database: DatabaseServer
let relay: Relay
let stack: Stack
let api: NotifyApi

/** Starts an instance with long timeouts, except those in `env`, so that a busy machine is not taken for an outage. */
const start = (env: NodeJS.ProcessEnv) =>
  stack.start({ MYSQL_URL: `mysql://tidings:tidings@127.0.0.1:${relay.port}/tidings`, ...env })

beforeAll(async () => {
  database = await startDatabase({ directory })
  relay = await openRelay(portOf(database))
  stack = await openStack('outage')
})
// The servers resume also when a test has failed while one was paused.
afterEach(() => {
  stack.redis.resume()
  database.process.resume()
})
afterAll(async () => {
  await stack.close()
  relay.close()
  await database.stop()
  rmSync(directory, { recursive: true, force: true })
})

function portOf({ url }: DatabaseServer): number {
  return Number(new URL(url).port)
}

/** Waits for `ms` while posts continue. */
async function underLoad(load: PostLoad, ms: number): Promise<void> {
  const begin = performance.now()
  await waitFor(() => performance.now() - begin > ms, { deadlineMs: ms + 5_000, what: 'the outage to end' })
  expect(load.posts.length).toBeGreaterThan(0)
}

async function recovered(load: PostLoad): Promise<void> {
  const before = load.accepted().length
  await waitFor(() => load.accepted().length > before + 200, { deadlineMs: 60_000, what: 'posts to be accepted again' })
}

async function allDelivered(load: PostLoad, gateway: Listener): Promise<void> {
  await waitFor(
    () => {
      const delivered = new Set(gateway.publications.map(({ body }) => body['notificationId']))
      return load.accepted().every((id) => delivered.has(id))
    },
    { deadlineMs: 60_000, what: 'every accepted post to be delivered' },
  )
}

test('Redis hangs for 5 s under load: every post is accepted, and delivered afterwards', async () => {
  api = await start({ PUBLISH_TIMEOUT_MS: '1000' })
  const gateway = await stack.listen(channel)
  const load = postLoad(() => api, { memberId, connections: 16 })
  await waitFor(() => load.posts.length > 200, { deadlineMs: 60_000, what: 'posts' })
  stack.redis.pause()
  await underLoad(load, outageMs)
  stack.redis.resume()
  await recovered(load)
  await load.stop()
  expect(new Set(load.posts.map(({ status }) => status))).toEqual(new Set([201]))
  expect(Math.max(...load.posts.map(({ ms }) => ms))).toBeLessThan(responseBoundMs)
  await allDelivered(load, gateway)
  await api.stop()
}, 180_000)

const outages = [
  [
    'hangs',
    async () => {
      database.process.pause()
      return async () => database.process.resume()
    },
  ],
  [
    'is gone',
    async () => {
      relay.target = undefined
      await database.stop()
      return async () => {
        database = await startDatabase({ directory })
        relay.target = portOf(database)
      }
    },
  ],
] as const

// Of a database that is gone in the long form only: it ends the requests sooner than one that hangs.
test.each(process.env['TIDINGS_LONG'] === '1' ? outages : outages.slice(0, 1))(
  'MySQL %s for 5 s under load: each post has a response in time, and every accepted one is stored and delivered',
  async (_case, stop) => {
    api = await start({ DATABASE_TIMEOUT_MS: '3000', MAX_QUEUED_MS: '2000' })
    const gateway = await stack.listen(channel)
    const load = postLoad(() => api, { memberId, connections: 16 })
    await waitFor(() => load.posts.length > 200, { deadlineMs: 60_000, what: 'posts' })
    const resume = await stop()
    await waitFor(async () => (await api.ops('/ready')).includes('"failing":["mysql"]'), {
      deadlineMs: 20_000,
      what: 'readiness to fail',
    })
    await underLoad(load, outageMs)
    await resume()
    await recovered(load)
    await load.stop()

    const refused = load.posts.filter(({ status }) => status !== 201)
    expect(refused.length).toBeGreaterThan(0)
    for (const { status, retryAfter, problem } of refused) expect([status, retryAfter, problem]).toEqual([503, '1', true])
    expect(Math.max(...load.posts.map(({ ms }) => ms))).toBeLessThan(responseBoundMs)
    const { body } = await api.member(memberId).get('/notification?limit=1')
    expect(body['items']).toHaveLength(1)
    const connection = await createConnection(database.url)
    const [rows] = await connection.query<RowDataPacket[]>('SELECT notification_id AS id FROM notification')
    await connection.end()
    const stored = new Set(rows.map((row) => row['id'] as number))
    expect(load.accepted().filter((id) => !stored.has(id))).toEqual([])
    await allDelivered(load, gateway)
    await waitFor(async () => (await api.ops('/ready')).includes('"failing":[]'), { deadlineMs: 20_000, what: 'readiness' })
    await api.stop()
  },
  180_000,
)
