import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  connectStomp,
  type DatabaseServer,
  freePort,
  freeServicePort,
  localOrigin,
  memberToken,
  newVapidVariables,
  type OwnedProcess,
  type ServiceProcess,
  serviceToken,
  spawnOwned,
  startDatabase,
  startPushService,
  startService,
  subscribe,
  waitFor,
} from '@tidings/local'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

const deadlineMs = 30_000

let directory: string
let database: DatabaseServer
/** The servers and services of one test. */
const processes: OwnedProcess[] = []

const file = (name: string) => join(directory, name)
const pem = (name: string) => readFileSync(file(name), 'utf8')

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
}

/** Writes `<name>.pem` and `<name>.key`: an authority of its own. */
function createAuthority(name: string): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
  )
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidings-tls-'))
  createAuthority('authority')
  createAuthority('other')
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=server',
    '-keyout',
    'server.key',
    '-out',
    'server.csr',
  )
  writeFileSync(file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'authority.pem',
    '-CAkey',
    'authority.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'names',
    '-out',
    'server.pem',
  )
  const flags = [`--ssl-cert=${file('server.pem')}`, `--ssl-key=${file('server.key')}`, '--require-secure-transport=ON']
  database = await startDatabase({ flags })
})
afterEach(async () => {
  await Promise.all(processes.splice(0).map((each) => each.kill()))
})
afterAll(async () => {
  await database.stop()
  rmSync(directory, { recursive: true, force: true })
})

const certificates = () => [
  '--tls-cert-file',
  file('server.pem'),
  '--tls-key-file',
  file('server.key'),
  '--tls-ca-cert-file',
  file('authority.pem'),
]

/** Starts a Redis that accepts TLS only, and returns its port. */
async function startRedis(...args: string[]): Promise<number> {
  const port = await freePort()
  const options = [
    '--port',
    '0',
    '--tls-port',
    String(port),
    ...certificates(),
    '--tls-auth-clients',
    'no',
    '--save',
    '',
    '--dir',
    directory,
  ]
  const server = spawnOwned({ name: 'redis', command: 'redis-server', args: [...args, ...options] })
  processes.push(server)
  await server.firstLine((line) => (/ready to accept connections|\+monitor/i.test(line) ? true : undefined), deadlineMs)
  return port
}

const redisUrls: Record<string, () => Promise<string>> = {
  async 'a single Redis'() {
    return `rediss://localhost:${await startRedis()}`
  },
  async 'a Redis Cluster'() {
    const node = [
      '--cluster-enabled',
      'yes',
      '--tls-cluster',
      'yes',
      '--cluster-announce-ip',
      '127.0.0.1',
      '--cluster-config-file',
      `nodes-${await freePort()}`,
    ]
    const port = await startRedis(...node)
    const admin = new Redis(port, '127.0.0.1', { tls: { rejectUnauthorized: false } })
    await admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
    await waitFor(async () => String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'), {
      what: 'the cluster',
      deadlineMs,
    })
    admin.disconnect()
    return `rediss://localhost:${port},rediss://127.0.0.1:${port}`
  },
  async 'the master of Sentinel'() {
    const port = await startRedis('--tls-replication', 'yes')
    writeFileSync(file('sentinel.conf'), `sentinel monitor main 127.0.0.1 ${port} 1\n`)
    const sentinel = await startRedis(file('sentinel.conf'), '--sentinel', '--tls-replication', 'yes')
    return `rediss+sentinel://localhost:${sentinel},127.0.0.1:${sentinel}/main`
  },
}

/** `ssl=true` by default; without TLS for null. */
function mysqlUrl(ssl: string | null = 'true'): string {
  const url = new URL(database.url)
  url.hostname = 'localhost'
  if (ssl !== null) url.searchParams.set('ssl', ssl)
  return url.href
}

async function start(
  name: 'notify-api' | 'realtime-gateway',
  env: Record<string, string>,
  onLine: (line: string) => void = () => {},
): Promise<ServiceProcess> {
  const service = await startService(name, { NODE_EXTRA_CA_CERTS: file('authority.pem'), ...env }, { onLine })
  processes.push(service)
  return service
}

const ready = async (opsPort: number) => (await (await fetch(`http://127.0.0.1:${opsPort}/ready`)).json()) as object

test.each(Object.entries(redisUrls))(
  'a notification arrives through MySQL and %s that accept TLS only, with certificates of an own authority',
  async (_, redisUrl) => {
    const REDIS_URL = await redisUrl()
    const api = await start('notify-api', { REDIS_URL, MYSQL_URL: mysqlUrl() })
    const gateway = await start('realtime-gateway', { REDIS_URL, NOTIFY_API_URL: api.url, DRAIN_SECONDS: '1' })
    await waitFor(async () => JSON.stringify(await ready(gateway.opsPort)) === '{"ready":true,"failing":[]}', {
      what: 'the gateway',
      deadlineMs,
    })
    expect(await ready(api.opsPort)).toEqual({ ready: true, failing: [], degraded: [] })
    const { session } = await connectStomp(gateway.url)
    await subscribe(session, '0', '/member/queue/notification')
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${serviceToken()}` }
    const body = JSON.stringify({ memberId: 1, message: 'hello', redirectPath: '/' })
    const sent = await fetch(`${api.url}/notification/send`, { method: 'POST', headers, body })
    expect(await sent.json()).toMatchObject({ online: true })
    expect((await session.nextFrame(20_000)).command).toBe('MESSAGE')
  },
)

test('push messages go to a push service that speaks HTTPS, and not to one whose certificate is not valid', async () => {
  const pushService = await startPushService({ cert: pem('server.pem'), key: pem('server.key') })
  const other = await startPushService({ cert: pem('other.pem'), key: pem('other.key') })
  const lines: string[] = []
  const env = { ...newVapidVariables(), PUSH_PRIVATE_ADDRESSES: 'allow', MYSQL_URL: mysqlUrl() }
  const api = await start('notify-api', { ...env, REDIS_URL: `rediss://localhost:${await startRedis()}` }, (line) =>
    lines.push(line),
  )
  const browsers = [pushService.subscribe(), other.subscribe()]
  const json = { 'content-type': 'application/json' }
  for (const { body } of browsers) {
    const headers = { ...json, cookie: `access_token=${memberToken(8)}`, origin: localOrigin }
    expect((await fetch(`${api.url}/push/subscription`, { method: 'PUT', headers, body: JSON.stringify(body) })).status).toBe(204)
  }
  const headers = { ...json, authorization: `Bearer ${serviceToken()}` }
  const body = JSON.stringify({ memberId: 8, message: 'hello', escalate: { push: true } })
  expect((await fetch(`${api.url}/notification/send`, { method: 'POST', headers, body })).status).toBe(201)
  await waitFor(() => lines.some((line) => /self-signed certificate.*a push failed/.test(line)), { what: 'the log', deadlineMs })
  expect(browsers.map(({ messages }) => messages.length)).toEqual([1, 0])
  await pushService.close()
  await other.close()
})

describe('with the certificate of another authority', () => {
  const reason = /unable to verify|self-signed certificate|unable to get local issuer/

  test.each([
    ['ssl=true', 'true'],
    ['options', '{"minVersion":"TLSv1.2"}'],
  ])('MySQL, %s: notify-api is alive, not ready, and logs the reason once', async (_, ssl) => {
    const lines: string[] = []
    const opsPort = await freeServicePort()
    const env = {
      NODE_EXTRA_CA_CERTS: file('other.pem'),
      REDIS_URL: 'redis://127.0.0.1:1',
      MYSQL_URL: mysqlUrl(ssl),
      OPS_PORT: String(opsPort),
    }
    const starting = startService('notify-api', env, { onLine: (line) => lines.push(line) })
    const logged = () => lines.filter((line) => line.includes('the database is not reachable yet'))
    await waitFor(() => logged().length > 0, { what: 'the log', deadlineMs })
    expect(await ready(opsPort)).toEqual({ ready: false, failing: ['mysql'] })
    expect(logged()).toEqual([expect.stringMatching(reason)])
    process.kill((JSON.parse(logged()[0] ?? '') as { pid: number }).pid)
    await expect(starting).rejects.toThrow('SIGTERM')
  })

  test('Redis: the gateway is not ready, and each of its two connections logs the reason once', async () => {
    const lines: string[] = []
    const env = { NODE_EXTRA_CA_CERTS: file('other.pem'), REDIS_URL: `rediss://localhost:${await startRedis()}` }
    const gateway = await start('realtime-gateway', env, (line) => lines.push(line))
    await waitFor(() => lines.filter((line) => reason.test(line)).length === 2, { what: 'the log', deadlineMs })
    expect(await ready(gateway.opsPort)).toEqual({ ready: false, failing: ['redis'] })
  })
})

test('without TLS, a MySQL that requires it ends the start with a line that names the mend', async () => {
  const starting = startService('notify-api', { MYSQL_URL: mysqlUrl(null) })
  await expect(starting).rejects.toThrow(/^MYSQL_URL: .*\?ssl=true$/m)
})
