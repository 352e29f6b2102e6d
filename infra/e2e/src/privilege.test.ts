import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  connectStomp,
  type DatabaseServer,
  freeServicePort,
  localOrigin,
  memberToken,
  newVapidVariables,
  queryDatabase,
  type ServiceProcess,
  serviceToken,
  spawnOwned,
  startDatabase,
  startPushService,
  startRedis,
  startRedisCluster,
  startService,
  subscribe,
  waitFor,
} from '@tidings/local'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')
const folder = join(root, 'infra/privilege')
const deadlineMs = 30_000
const content = { message: 'hello', redirectPath: '/' }
const json = { 'content-type': 'application/json' }

let database: DatabaseServer

beforeAll(async () => {
  database = await startDatabase()
  const statements = readFileSync(join(folder, 'mysql.sql'), 'utf8')
    .split(';\n')
    .filter((sql) => sql.trim() !== '')
  for (const sql of statements) await queryDatabase(database.url, sql)
})
afterAll(() => database.stop())

/** The URL of a user of mysql.sql. */
function mysqlUrl(user: 'notify-api' | 'migration'): string {
  const url = new URL(database.url)
  url.username = `tidings_${user.replace('-', '_')}`
  url.password = `replace-me-${user}`
  return url.href
}

async function runMigrate(MYSQL_URL: string): Promise<{ code: number | null; logs: string }> {
  const args = [join(root, 'services/notify-api/dist/migrate.js')]
  const { exited, logs } = spawnOwned({ name: 'migrate', command: process.execPath, args, env: { MYSQL_URL } })
  return { code: (await exited).code, logs: logs.join('\n') }
}

const hint = 'infra/privilege lists the privileges of a service with MIGRATE=off, and those of npm run migrate'

test('the user of notify-api may not create tables: both that start and migrate name the privilege, and MIGRATE=off', async () => {
  const message = new RegExp(`^MYSQL_URL: CREATE command denied to user 'tidings_notify_api'@.* ${hint}$`, 'm')
  const { code, logs } = await runMigrate(mysqlUrl('notify-api'))
  expect([code, logs]).toEqual([1, expect.stringMatching(message)])
  await expect(startService('notify-api', { MYSQL_URL: mysqlUrl('notify-api') })).rejects.toThrow(message)
  expect(await runMigrate(mysqlUrl('migration'))).toMatchObject({ code: 0 })
})

/** The rules of one user of an ACL file. */
interface User {
  readonly name: string
  readonly password: string
  readonly rules: readonly string[]
  /** Names as in `commandstats`: `get`, `client|setname`. */
  readonly commands: readonly string[]
}

function usersOf(acl: string): User[] {
  return acl
    .trim()
    .split('\n')
    .map((line) => {
      const [, name = '', ...rules] = line.split(' ')
      const password = rules.find((rule) => rule.startsWith('>'))?.slice(1) ?? ''
      return { name, password, rules, commands: rules.filter((rule) => rule.startsWith('+')).map((rule) => rule.slice(1)) }
    })
}

interface Servers {
  readonly url: string
  pause(): void
  resume(): void
  close(): Promise<unknown>
}

async function startServers(kind: string, file: string): Promise<Servers> {
  const flags = ['--aclfile', file]
  if (kind === 'single') {
    const redis = await startRedis({ flags })
    return { url: redis.url, pause: () => redis.pause(), resume: () => redis.resume(), close: () => redis.kill() }
  }
  const cluster = await startRedisCluster({ flags })
  return {
    url: cluster.url,
    pause: () => cluster.masters.forEach((each) => each.pause()),
    resume: () => cluster.masters.forEach((each) => each.resume()),
    close: () => cluster.close(),
  }
}

async function readyOf({ opsPort }: { readonly opsPort: number }): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`http://127.0.0.1:${opsPort}/ready`)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

function untilReady(service: ServiceProcess): Promise<boolean> {
  return waitFor(async () => (await readyOf(service)).status === 200, { what: 'readiness', deadlineMs })
}

describe.each([
  { kind: 'single', file: 'redis.acl', prefix: '', memberId: 7 },
  { kind: 'cluster', file: 'redis-cluster.acl', prefix: 'staging:', memberId: 8 },
])('$kind, with $file and the prefix "$prefix"', ({ kind, file, prefix, memberId }) => {
  let directory: string
  let servers: Servers
  let admins: Redis[]
  let users: Record<'notify-api' | 'gateway', User>
  let api: ServiceProcess
  let gateway: ServiceProcess

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidings-acl-'))
    const acl = join(directory, 'users.acl')
    const [, sed = ''] = /^(sed -E .*) redis\.acl/m.exec(readFileSync(join(folder, 'README.md'), 'utf8')) ?? []
    writeFileSync(acl, prefix ? execFileSync('sh', ['-c', `${sed} ${file}`], { cwd: folder }) : readFileSync(join(folder, file)))
    const [forApi, forGateway] = usersOf(readFileSync(acl, 'utf8')) as [User, User]
    users = { 'notify-api': forApi, gateway: forGateway }
    servers = await startServers(kind, acl)
    admins = servers.url.split(',').map((url) => new Redis(url, { maxRetriesPerRequest: null, commandTimeout: 60_000 }))
  })
  afterAll(async () => {
    await Promise.all([api, gateway].map((service) => service?.kill()))
    for (const admin of admins) admin.disconnect()
    await servers.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const onAll = (command: string, ...args: string[]) => Promise.all(admins.map((admin) => admin.call(command, ...args)))

  const env = (user: User) => ({
    REDIS_URL: servers.url.replaceAll('redis://', `redis://${user.name}:${user.password}@`),
    ...(prefix && { CHANNEL_PREFIX: prefix.slice(0, -1) }),
  })
  const startApi = (more: Record<string, string> = {}, onLine: (line: string) => void = () => {}) =>
    startService(
      'notify-api',
      {
        ...env(users['notify-api']),
        MYSQL_URL: mysqlUrl('notify-api'),
        MIGRATE: 'off',
        RETENTION_DAYS: '1',
        RETENTION_INTERVAL_SECONDS: '1',
        ...more,
      },
      { onLine },
    )
  const startGateway = () =>
    startService('realtime-gateway', { ...env(users.gateway), NOTIFY_API_URL: api.url, DRAIN_SECONDS: '1' })

  async function post(path: string, body: object): Promise<Record<string, unknown>> {
    const headers = { ...json, authorization: `Bearer ${serviceToken()}` }
    const response = await fetch(api.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    if (!response.ok) throw new Error(`POST ${path} returned ${response.status} ${text}`)
    return text ? (JSON.parse(text) as Record<string, unknown>) : {}
  }

  function asMember(path: string, method = 'POST', body?: object): Promise<Response> {
    const headers = { ...json, cookie: `access_token=${memberToken(memberId)}`, origin: localOrigin }
    return fetch(api.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  }

  /** Uploads the text of a task, and holds the upload open until `during` has resolved. */
  async function uploadText(taskId: string, text: string, during: () => Promise<unknown>): Promise<void> {
    const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'text/plain' }
    const upload = request(`${api.url}/task/${taskId}/stream`, { method: 'POST', headers })
    const status = new Promise((resolve, reject) => {
      upload.on('error', reject)
      upload.on('response', (response) => resolve(response.resume().statusCode))
    })
    upload.write(text)
    await during()
    upload.end()
    expect(await status).toBe(202)
  }

  /** The commands that ran since the last `CONFIG RESETSTAT`, in scripts too. */
  async function commandsRun(): Promise<Set<string>> {
    const stats = await onAll('INFO', 'commandstats')
    return new Set([...stats.join('\n').matchAll(/^cmdstat_(\S+):calls=[1-9]/gm)].map(([, name]) => name ?? ''))
  }

  const untilAllRun = ({ commands }: User) =>
    waitFor(
      async () => {
        const ran = await commandsRun()
        const idle = commands.filter((command) => !ran.has(command))
        if (idle.length > 0) throw new Error(`not run: ${idle.join(' ')}`)
        return true
      },
      { what: 'every permitted command to run', deadlineMs },
    )

  /** What Redis refused since the last `ACL LOG RESET`. */
  async function refusals(): Promise<string[]> {
    const entries = (await onAll('ACL', 'LOG')).flat() as string[][]
    return entries.map((entry) =>
      ['reason', 'context', 'object', 'username'].map((name) => entry[entry.indexOf(name) + 1]).join(' '),
    )
  }
  beforeEach(() => onAll('ACL', 'LOG', 'RESET'))
  afterEach(() => servers.resume())

  test('nothing dangerous is permitted, and nothing of others', async () => {
    const [admin] = admins as [Redis]
    const inCategory = async (name: string) => new Set((await admin.call('ACL', 'CAT', name)) as string[])
    const [dangerous, administrative] = await Promise.all([inCategory('dangerous'), inCategory('admin')])
    for (const { name, commands } of Object.values(users)) {
      // INFO has the `run_id` of the server. The rest of it is of no use to an attacker.
      expect(commands.filter((command) => dangerous.has(command))).toEqual(['info'])
      expect(commands.filter((command) => administrative.has(command))).toEqual([])
      const attempts = [
        'KEYS *',
        'FLUSHALL',
        'FLUSHDB',
        'CONFIG GET *',
        'ACL LIST',
        'SCAN 0',
        'MONITOR',
        'SHUTDOWN',
        'SCRIPT FLUSH',
      ]
      const foreign = [
        `GET ${prefix}session:1`,
        `RPUSH {other}:history x`,
        `PUBLISH other x`,
        'LRANGE other:member:1:history 0 -1',
      ]
      for (const attempt of [...attempts, ...foreign]) {
        const reply = admin.call('ACL', 'DRYRUN', name, ...attempt.split(' '))
        expect(await reply, attempt).toMatch(/no permissions/i)
      }
    }
  })

  test('notify-api does its work with the permissions of its users, and needs each of them', async () => {
    const user = users['notify-api']
    await onAll('CONFIG', 'RESETSTAT')
    api = await startApi({ ...newVapidVariables(), PUSH_PRIVATE_ADDRESSES: 'allow' })
    await untilReady(api)
    expect(await readyOf(api)).toMatchObject({ body: { failing: [], degraded: [] } })

    const { notificationId } = await post('/notification/send', { memberId, ...content })
    const pushService = await startPushService()
    const browser = pushService.subscribe()
    expect((await asMember('/push/subscription', 'PUT', browser.body)).status).toBe(204)
    await post('/notification/send', { memberId, ...content, escalate: { push: true } })
    await waitFor(() => browser.messages.length === 1, { what: 'the push', deadlineMs })
    await pushService.close()
    await post('/notification/broadcast', content)
    expect(await post('/presence', { memberIds: [memberId] })).toEqual({ members: [{ memberId, online: false }] })
    // More than a history keeps.
    const messages = Array.from({ length: 101 }, () =>
      post('/message', { destination: '/member/queue/cart', memberIds: [memberId], body: 1 }),
    )
    expect(await Promise.all(messages)).toHaveLength(101)
    const taskId = randomUUID()
    await post('/task', { taskId, memberId, kind: 'chat' })
    await post(`/task/${taskId}/event`, { type: 'progress', percent: 1 })
    expect(await (await asMember('/task', 'GET')).json()).toMatchObject({ items: [{ percent: 1 }] })
    await uploadText(taskId, '한글', () => waitFor(async () => (await commandsRun()).has('xread'), { what: 'XREAD', deadlineMs }))
    await post(`/task/${taskId}/finish`, { status: 'succeeded' })
    expect((await asMember(`/notification/${String(notificationId)}/read`)).status).toBe(200)
    expect(await (await asMember('/session', 'GET')).json()).toEqual({ sessions: [], complete: true })
    await post('/session/revoke', { memberId })

    // A history of another type, which is replaced.
    const key = `{${prefix}member:${memberId}:broken}:history`
    await Promise.any(admins.map((admin) => admin.set(key, 'x')))
    await post('/message', { destination: '/member/queue/broken', memberIds: [memberId], body: 1 })
    // A channel that is not permitted.
    await onAll('ACL', 'SETUSER', user.name, 'resetchannels', `&${prefix}gateway:control`)
    const refused = post('/message', { destination: '/member/queue/broken', memberIds: [memberId], body: 1 })
    await expect(refused).rejects.toThrow('channel-refused')
    await onAll('ACL', 'SETUSER', user.name, ...user.rules)
    await onAll('ACL', 'LOG', 'RESET')

    servers.pause()
    expect(await post('/notification/send', { memberId, ...content })).toMatchObject({ online: null })
    servers.resume()
    const deferred = () => queryDatabase(database.url, 'SELECT * FROM outbox_deferred')
    await waitFor(async () => (await deferred()).length === 0, { what: 'the sweep', deadlineMs })
    await queryDatabase(database.url, 'UPDATE notification SET created_at = NOW(3) - INTERVAL 2 DAY')
    const kept = () => queryDatabase(database.url, 'SELECT * FROM notification')
    await waitFor(async () => (await kept()).length === 0, { what: 'retention', deadlineMs })

    await untilAllRun(user)
    expect(await refusals()).toEqual([])
  })

  test('the gateway does its work with the permissions of its user, and needs each of them', async () => {
    await api.stop()
    const [admin] = admins as [Redis]
    // The gateway finds no record of the run. On a Cluster every channel has its own.
    if (kind === 'single') await admin.del(`${prefix}tidings:run`)
    await onAll('CONFIG', 'RESETSTAT')
    gateway = await startGateway()
    await untilReady(gateway)
    const token = memberToken(memberId, { claims: { iat: Math.floor(Date.now() / 1_000) } })
    const { session } = await connectStomp(gateway.url, { token })
    if (kind === 'single') {
      const [, ms, tag] = String(await admin.get(`${prefix}tidings:run`)).split(' ')
      await admin.del(`{${prefix}member:${memberId}:broken}:history`)
      await admin.rpush(`{${prefix}member:${memberId}:broken}:history`, `${Number(ms) * 100 + Number(tag)}-1\n1`)
    }
    session.sends('SUBSCRIBE\nid:0\ndestination:/member/queue/broken\nreceipt:0\nlast-message-id:1-1\n\n\0')
    const frames = [await session.nextFrame(20_000), await session.nextFrame(20_000)]
    expect(frames.map(({ command }) => command).toSorted()).toEqual(['MESSAGE', 'RECEIPT'])
    await subscribe(session, '1', '/topic/all')
    session.sends('UNSUBSCRIBE\nid:1\n\n\0')
    const publish = kind === 'single' ? 'PUBLISH' : 'SPUBLISH'
    const question = JSON.stringify({ type: 'sessions', memberId, questionId: 'q' })
    await Promise.any(admins.map((each) => each.call(publish, `${prefix}gateway:control`, question)))
    await untilAllRun(users.gateway)
    expect(await refusals()).toEqual([])
  })

  test('both together: a notification and a task arrive, sessions are listed, and a revocation ends them', async () => {
    api = await api.again()
    await gateway.stop()
    gateway = await startGateway()
    await Promise.all([api, gateway].map(untilReady))
    const { session } = await connectStomp(gateway.url, { memberId })
    const taskId = randomUUID()
    await subscribe(session, '0', '/member/queue/notification')
    await subscribe(session, '1', `/member/queue/task.${taskId}`)
    expect(await post('/notification/send', { memberId, ...content })).toMatchObject({ online: true })
    await post('/task', { taskId, memberId, kind: 'chat' })
    await post(`/task/${taskId}/finish`, { status: 'succeeded' })
    for (let count = 0; count < 3; count++) expect((await session.nextFrame(20_000)).command).toBe('MESSAGE')
    expect(await (await asMember('/session', 'GET')).json()).toMatchObject({ sessions: [{}], complete: true })
    await post('/session/revoke', { memberId })
    expect((await session.closed()).code).toBe(4401)
    expect(await refusals()).toEqual([])
  })

  test.runIf(kind === 'cluster')(
    'a command that one node refuses: both services name it, and are not ready until it is permitted',
    async () => {
      await Promise.all([api, gateway].map((service) => service.stop()))
      const [admin] = admins as [Redis]
      await admin.call('ACL', 'SETUSER', users['notify-api'].name, '-hget')
      await admin.call('ACL', 'SETUSER', users.gateway.name, '-lrange')
      const logged = (lines: readonly string[], command: string) =>
        waitFor(() => lines.some((line) => line.includes(`"refused":["${command} `) && line.includes('infra/privilege')), {
          what: `the log of ${command}`,
          deadlineMs,
        })
      const lines: string[] = []
      const opsPort = await freeServicePort()
      const starting = startApi({ OPS_PORT: String(opsPort) }, (line) => lines.push(line))
      gateway = await gateway.again()
      await Promise.all([logged(lines, 'hget'), logged(gateway.logs, 'lrange')])
      // The canaries of the gateway return first.
      for (const service of [{ opsPort }, gateway]) {
        const failing = async () => JSON.stringify((await readyOf(service)).body['failing'])
        await waitFor(async () => (await failing()) === '["redis"]', { what: 'redis to fail alone', deadlineMs })
        expect((await readyOf(service)).status).toBe(503)
      }
      await admin.call('ACL', 'SETUSER', users['notify-api'].name, '+hget')
      await admin.call('ACL', 'SETUSER', users.gateway.name, '+lrange')
      api = await starting
      await Promise.all([api, gateway].map(untilReady))

      // Once it serves, posts are accepted without Redis.
      await admin.call('ACL', 'SETUSER', users['notify-api'].name, '-hget')
      await waitFor(async () => JSON.stringify((await readyOf(api)).body).includes('"degraded":["redis"]'), {
        what: 'degraded',
        deadlineMs,
      })
      expect((await readyOf(api)).status).toBe(200)
      expect(await post('/notification/send', { memberId, ...content })).toMatchObject({ memberId })
    },
  )
})
