import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  connectStomp,
  createDatabase,
  findProgram,
  freePort,
  memberToken,
  openRawSession,
  type OwnedProcess,
  type RawSession,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  spawnOwned,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { type FaultRelay, openFaultRelay } from './fixture/fault-relay.ts'
import { installed } from './fixture/installed.ts'

// Real services with real faults, and Prometheus with the shipped rules.
const folder = join(import.meta.dirname, '../../observability')
const shipped = readFileSync(join(folder, 'alert.yml'), 'utf8')
const names = [...shipped.matchAll(/alert: (\w+)/g)].map(([, name = '']) => name)

interface Rules {
  readonly groups: { readonly name: string; interval?: string; readonly rules: { for?: string; expr: string; alert: string }[] }[]
}

/**
 * The shipped rules in fast motion. Shorter are only times: `for` is a second, the ranges of five and ten minutes are half a minute, and so the
 * minute of TidingsOutboxOld and the five minutes of TidingsEscalationsLate are five seconds. All other thresholds are the shipped ones.
 */
function fastRules(): string {
  const { groups } = parse(shipped) as Rules
  for (const group of groups) {
    group.interval = '1s'
    for (const rule of group.rules) {
      rule.for &&= '1s'
      rule.expr = rule.expr.replaceAll(/\[(?:5|10)m\]/g, '[30s]').replace(/age_seconds\) > (?:60|300)/, 'age_seconds) > 5')
    }
  }
  return stringify({ groups })
}

let directory: string
let redis: RedisServer
let database: URL
/** Between the services and their servers. */
let mysql: FaultRelay
let apiRedis: FaultRelay
let gatewayRedis: FaultRelay
let api: ServiceProcess
/** An instance whose issuers are away. */
let keyless: ServiceProcess
let gateway: ServiceProcess
/** A gateway with place for one session. */
let small: ServiceProcess
const webhook = {
  WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
  WEBHOOK_TIMEOUT_MS: '2000',
  WEBHOOK_CONCURRENCY: '1',
}
/** The receiver of the webhook. */
let receiver: Server
let respond: RequestListener = (_, response) => void response.writeHead(204).end()
let prometheus: OwnedProcess
let prometheusUrl: string
const seen = new Set<string>()

async function setUp(): Promise<void> {
  directory = mkdtempSync(join(tmpdir(), 'tidings-alert-'))
  redis = await startRedis()
  database = new URL(await createDatabase(inject('databaseServerUrl'), 'acceptance_alert'))
  mysql = await openFaultRelay(Number(database.port))
  apiRedis = await openFaultRelay(redis.port)
  gatewayRedis = await openFaultRelay(redis.port)
  const throughRelay = new URL(database)
  throughRelay.port = String(mysql.port)
  const REDIS_URL = `redis://127.0.0.1:${apiRedis.port}`
  const ofApi = { MYSQL_URL: throughRelay.href, REDIS_URL, MAX_QUEUED_MS: '60000' }
  receiver = createServer((request, response) => respond(request, response))
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  api = await startService('notify-api', { ...ofApi, ...webhook, WEBHOOK_URL: url })
  const away = 'http://127.0.0.1:1/jwks'
  const noKeys = { MEMBER_JWT_SECRET: '', SERVICE_JWT_SECRET: '', MEMBER_JWKS_URL: away, SERVICE_JWKS_URL: away }
  keyless = await startService('notify-api', { ...ofApi, ...noKeys })
  const ofGateway = { NOTIFY_API_URL: api.url, PUBLIC_TOPICS: '*', MAX_BUFFERED_BYTES: '131072', MAX_BUFFERED_MS: '1000' }
  gateway = await startService('realtime-gateway', { ...ofGateway, REDIS_URL: `redis://127.0.0.1:${gatewayRedis.port}` })
  small = await startService('realtime-gateway', { ...ofGateway, REDIS_URL: redis.url, MAX_SESSIONS: '1' })
  const port = await freePort()
  writeFileSync(join(directory, 'alert.yml'), fastRules())
  const jobs = Object.entries({ 'notify-api': [api, keyless], 'realtime-gateway': [gateway, small] })
  writeFileSync(
    join(directory, 'prometheus.yml'),
    stringify({
      global: { scrape_interval: '3s', evaluation_interval: '1s' },
      rule_files: ['alert.yml'],
      scrape_configs: jobs.map(([job_name, services]) => ({
        job_name,
        static_configs: [{ targets: services.map(({ opsPort }) => `127.0.0.1:${opsPort}`) }],
      })),
    }),
  )
  prometheus = spawnOwned({
    name: 'prometheus',
    command: findProgram('prometheus') ?? 'prometheus',
    args: [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    temporaryDirectory: directory,
  })
  prometheusUrl = `http://127.0.0.1:${port}`
  await waitFor(async () => (await upTargets()) === 4, { what: 'Prometheus to scrape all services', deadlineMs: 30_000 })
}

async function query<Result>(path: string): Promise<Result> {
  const response = await fetch(`${prometheusUrl}/api/v1/${path}`)
  return ((await response.json()) as { data: Result }).data
}

async function upTargets(): Promise<number> {
  const targets = await query<{ activeTargets: { health: string }[] }>('targets').catch(() => ({ activeTargets: [] }))
  return targets.activeTargets.filter(({ health }) => health === 'up').length
}

async function firing(): Promise<string[]> {
  const { alerts } = await query<{ alerts: { state: string; labels: { alertname: string } }[] }>('alerts')
  return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname)
}

/** Causes a fault, and repeats `during` until these alerts fire, none of which fired before. */
async function expectAlerts(alerts: readonly string[], cause: () => unknown, during?: () => Promise<unknown>): Promise<void> {
  expect((await firing()).filter((name) => alerts.includes(name))).toEqual([])
  await cause()
  const fired = async () => {
    await during?.()
    const now = await firing()
    return alerts.every((name) => now.includes(name))
  }
  await waitFor(fired, { what: `${alerts.join(', ')} to fire`, deadlineMs: 60_000 })
  for (const name of alerts) seen.add(name)
}

function post(path: string, body: object, url = api.url): Promise<Response> {
  const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' }
  return fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
}

const send = (to: object) => post('/notification/send', { ...to, message: 'hello', redirectPath: '/' })
const memberIds = Array.from({ length: 1_000 }, (_, index) => index + 1)

async function subscribe(session: RawSession, id: number, destination: string, more = ''): Promise<void> {
  session.sends(`SUBSCRIBE\nid:${id}\ndestination:${destination}\nreceipt:${id}\n${more}\n\0`)
  for (;;) {
    const { command } = await session.nextFrame(20_000)
    if (command === 'RECEIPT') return
    if (command === 'ERROR') throw new Error(`no subscription to ${destination}`)
  }
}

async function openSessions(members: readonly number[]): Promise<RawSession[]> {
  return Promise.all(members.map(async (memberId) => (await connectStomp(gateway.url, { memberId })).session))
}

/** Resumes twelve subscriptions. */
async function resumeTwelve(session: RawSession): Promise<void> {
  for (let id = 0; id < 12; id++) await subscribe(session, id, `/topic/storm.${id}`, 'last-message-id:1-1\n')
}

/** Locks the table until the process is killed. */
function lockNotifications(): OwnedProcess {
  const { hostname, port, username, password, pathname } = database
  const sql = 'LOCK TABLES notification WRITE; SELECT SLEEP(100)'
  const credentials = ['-u', username, ...(password ? [`-p${password}`] : [])]
  const args = ['-h', hostname, '-P', port, ...credentials, pathname.slice(1), '-e', sql]
  return spawnOwned({ name: 'lock', command: findProgram('mariadb', 'mysql') ?? '', args })
}

/** Changes what the services may do in Redis. */
function acl(...rules: string[]): void {
  const args = ['-p', String(redis.port), 'ACL', 'SETUSER', 'default', ...rules]
  expect(spawnSync(findProgram('redis-cli') ?? '', args, { encoding: 'utf8' }).stdout).toBe('OK\n')
}

const programs = installed('alerts on real faults', 'prometheus', 'redis-cli', 'mariadb')

describe.skipIf(!programs)('each alert fires on the fault that it is for', () => {
  beforeAll(setUp, 120_000)
  afterAll(async () => {
    for (const relay of [mysql, apiRedis, gatewayRedis]) relay?.close()
    await Promise.all([prometheus, api, keyless, gateway, small].map((each) => each?.kill()))
    receiver?.close()
    receiver?.closeAllConnections()
    await redis?.kill()
    rmSync(directory, { recursive: true, force: true })
  })

  /** An issuer that is away fails once in ten seconds for each kind of caller: this runs beside the other faults. */
  let keysFailing: Promise<void>

  test('none fires on healthy services', async () => {
    expect((await send({ memberId: 1 })).status).toBe(201)
    expect(await firing()).toEqual([])
    keysFailing = expectAlerts(
      ['TidingsJwksFailing'],
      () => {},
      async () => {
        await post('/notification/send', {}, keyless.url)
        await fetch(`${keyless.url}/notification`, { headers: { cookie: `access_token=${memberToken(1)}` } })
      },
    )
    keysFailing.catch(() => {})
  })

  test('Redis lost its data while clients were subscribed', async () => {
    const [session] = await openSessions([1])
    await subscribe(session as RawSession, 0, '/member/queue/notification')
    await send({ memberId: 1 })
    await expectAlerts(
      ['TidingsGaps'],
      () => redis.restart(),
      async () => void (await send({ memberId: 1 })),
    )
    session?.socket.terminate()
  })

  test('clients that do not read', async () => {
    const sessions = await openSessions(Array.from({ length: 25 }, (_, index) => index + 1))
    await Promise.all(sessions.map((session) => subscribe(session, 0, '/topic/large')))
    for (const { socket } of sessions) socket.pause()
    const body = 'x'.repeat(60_000)
    await expectAlerts(
      ['TidingsSlowClients'],
      () => {},
      () => Promise.all(Array.from({ length: 10 }, () => post('/message', { destination: '/topic/large', body }))),
    )
    for (const { socket } of sessions) socket.terminate()
  }, 90_000)

  test('a gateway that is full', async () => {
    await connectStomp(small.url)
    const refused = () => openRawSession(small.url, { token: memberToken(1) })
    await expectAlerts(
      ['TidingsUpgradesRefused'],
      () => {},
      () => Promise.all(Array.from({ length: 20 }, refused)),
    )
  })

  test('clients that reconnect all the time', async () => {
    const members = Array.from({ length: 10 }, (_, index) => 100 + index)
    let sessions: RawSession[] = []
    await expectAlerts(
      ['TidingsReconnectStorm'],
      () => {},
      async () => {
        for (const { socket } of sessions) socket.terminate()
        sessions = await openSessions(members)
        await Promise.all(sessions.map(resumeTwelve))
      },
    )
    for (const { socket } of sessions) socket.terminate()
  })

  test('a slow network between gateway and Redis', async () => {
    await expectAlerts(['TidingsGatewayLag'], () => (gatewayRedis.delayMs = 400))
    gatewayRedis.delayMs = 0
  })

  test('a gateway that does not reach Redis', async () => {
    await expectAlerts(['TidingsGatewayUnready'], () => (gatewayRedis.cut = true))
    gatewayRedis.cut = false
  })

  test('notify-api does not reach Redis, while it accepts 11,000 notifications', async () => {
    await expectAlerts(['TidingsCircuitOpen', 'TidingsOutboxOld', 'TidingsOutboxDeep'], async () => {
      apiRedis.cut = true
      for (let count = 0; count < 11; count++) expect((await send({ memberIds })).status).toBe(201)
    })
    apiRedis.cut = false
  }, 90_000)

  test('an ACL of Redis that refuses the channels of members', async () => {
    await waitFor(async () => !(await firing()).includes('TidingsCircuitOpen'), {
      what: 'Redis to be back',
      deadlineMs: 30_000,
    })
    await expectAlerts(
      ['TidingsOutboxParked'],
      () => acl('resetchannels', '&gateway:*', '&broadcast:*'),
      async () => {
        expect((await send({ memberId: 1 })).status).toBe(201)
      },
    )
    acl('allchannels')
  })

  test('a lock in MySQL that all writes wait for', async () => {
    const lock = lockNotifications()
    const posts: Promise<unknown>[] = []
    await expectAlerts(['TidingsQueuedWrites'], () => {
      for (let count = 0; count < 1_200; count++) posts.push(send({ memberId: 1 }))
    })
    await lock.kill()
    await Promise.all(posts)
  }, 90_000)

  test('MySQL that does not respond', async () => {
    await expectAlerts(['TidingsNotifyApiUnready'], () => (mysql.delayMs = 8_000))
    mysql.delayMs = 0
  })

  test('an issuer of tokens that is away', async () => {
    await keysFailing
  }, 90_000)

  test('a receiver of the webhook that hangs', async () => {
    respond = () => {}
    const to = { memberIds: memberIds.slice(0, 20), escalate: { webhook: true } }
    await expectAlerts(['TidingsEscalationsFailing', 'TidingsEscalationsLate'], () => send(to))
  }, 90_000)

  test('a receiver of the webhook that is gone', async () => {
    respond = (_, response) => void response.writeHead(410).end()
    await expectAlerts(['TidingsDeadLetters'], () => send({ memberId: 1, escalate: { webhook: true } }))
  }, 90_000)

  test('a process that is gone', async () => {
    await expectAlerts(['TidingsDown'], () => keyless.kill())
  })

  test('every alert was seen', () => expect([...seen].toSorted()).toEqual(names.toSorted()))
})
