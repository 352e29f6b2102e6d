import {
  createDatabase,
  freeServicePort,
  type Nginx,
  type RedisServer,
  type ServiceName,
  type ServiceProcess,
  startNginx,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { broadcastTopic, Device, notificationQueue } from './chaos/device.ts'
import { Load } from './chaos/load.ts'
import { judge, missing } from './chaos/verdict.ts'

// The shipped configuration of nginx, with the ports of this test in place of its own.
const deadlineMs = 30_000
const members = Array.from({ length: 30 }, (_, index) => index + 1)

let redis: RedisServer
let apis: ServiceProcess[]
let gateways: ServiceProcess[]
let nginx: Nginx
const devices: Device[] = []
let load: Load

beforeAll(async () => {
  redis = await startRedis()
  const shared = { REDIS_URL: redis.url, MYSQL_URL: await createDatabase(inject('databaseServerUrl'), 'e2e_nginx') }
  apis = [await startOnOwnPort('notify-api', shared), await startOnOwnPort('notify-api', shared)]
  const gateway = { REDIS_URL: redis.url, NOTIFY_API_URL: apis[0]?.url, DRAIN_SECONDS: '2' }
  gateways = [await startOnOwnPort('realtime-gateway', gateway), await startOnOwnPort('realtime-gateway', gateway)]
  nginx = await startNginx({ apiPorts: portsOf(apis), gatewayPorts: portsOf(gateways) })
  for (const service of [...apis, ...gateways]) await untilReady(service)
}, 120_000)
afterAll(async () => {
  for (const device of devices) device.stop()
  await Promise.all([...apis, ...gateways, nginx].map((each) => each.kill()))
  await redis.kill()
})

async function startOnOwnPort(name: ServiceName, env: NodeJS.ProcessEnv): Promise<ServiceProcess> {
  return startService(name, { ...env, PORT: String(await freeServicePort()), OPS_PORT: String(await freeServicePort()) })
}

function portsOf([first, second]: readonly ServiceProcess[]): [number, number] {
  return [first?.port ?? 0, second?.port ?? 0]
}

function untilReady(service: ServiceProcess): Promise<unknown> {
  const ready = async () => (await fetch(`http://127.0.0.1:${service.opsPort}/ready`)).status === 200
  return waitFor(ready, { what: `${service.name} to be ready`, deadlineMs })
}

/** Ends both instances of a service one after the other, each after the other one was ready again. */
async function restartInTurn(services: ServiceProcess[], signal: 'SIGTERM' | 'SIGKILL', indexes = [0, 1]): Promise<void> {
  for (const index of indexes) {
    const service = services[index] as ServiceProcess
    await (signal === 'SIGTERM' ? service.stop() : service.kill())
    services[index] = await service.again()
    await untilReady(services[index])
  }
}

function postsTo(memberId: number | undefined) {
  return load.accepted.filter((post) => post.memberId === memberId)
}

function isWhole(device: Device): boolean {
  return (
    device.connected &&
    missing(device, notificationQueue, postsTo(device.memberId)).length === 0 &&
    missing(device, broadcastTopic, postsTo(undefined)).length === 0
  )
}

/** Resolves to the ms from now until every device is connected and has every accepted post. */
async function untilWhole(): Promise<number> {
  const startedAt = performance.now()
  await waitFor(() => devices.every(isWhole), { what: 'every device to be connected and complete', deadlineMs })
  return Math.round(performance.now() - startedAt)
}

test('rolling restarts and kill -9 behind nginx: every client is back, nothing is lost, and no client sees a 502', {
  timeout: 180_000,
}, async () => {
  for (const memberId of members)
    devices.push(new Device(memberId, 0, () => [nginx.url]), new Device(memberId, 0, () => [nginx.url]))
  await waitFor(() => devices.every(({ subscribed }) => subscribed), { what: 'all devices to be subscribed', deadlineMs })
  load = new Load({ members, postsPerSecond: 60, apiUrls: [nginx.url] })
  const steps = [
    ['both gateways restarted in turn', () => restartInTurn(gateways, 'SIGTERM')],
    ['both notify-apis restarted in turn', () => restartInTurn(apis, 'SIGTERM')],
    ['kill -9 of a gateway', () => restartInTurn(gateways, 'SIGKILL', [0])],
    ['kill -9 of a notify-api', () => restartInTurn(apis, 'SIGKILL', [1])],
  ] as const
  for (const [name, step] of steps) {
    await step()
    console.log(`${name}: all ${devices.length} clients complete ${await untilWhole()} ms after the last was ready`)
  }
  await load.stop()
  await untilWhole()
  const { accepted, refused, ...verdict } = judge(load, devices)
  console.log(`${accepted} posts accepted, ${refused} refused at first, statuses`, nginx.statuses())
  expect(verdict).toEqual({ lost: 0, doubled: 0, misdelivered: 0, outOfOrder: 0, told: 0, unexpected: [] })
  const { 101: upgraded = 0, 201: created = 0, 200: ok = 0, ...others } = nginx.statuses()
  expect(upgraded).toBeGreaterThan(devices.length)
  expect(created).toBeGreaterThanOrEqual(accepted)
  expect(ok).toBeGreaterThan(0)
  // 503: an upgrade found both gateways draining or away. 409: a repetition of a post that an instance had when it was killed came before its
  // key was free. Both are documented, and clients repeat them.
  expect(Object.keys(others).filter((status) => !['409', '503'].includes(status))).toEqual([])
})

test.each(['/notification', '/task/x/stream', '/session/revoke', '/ws'])(
  'nginx passes the id of a request to %s on, or adds one',
  async (path) => {
    for (const [given, expected] of [
      ['lb-1:2/3', /^lb-1:2\/3$/],
      ['not valid', /^[0-9a-f]{32}$/],
    ] as const) {
      for (const key of [{}, { 'idempotency-key': 'k' }]) {
        const headers = { 'x-request-id': given, 'content-type': 'application/json', ...key }
        const response = await fetch(`${nginx.url}${path}`, { method: path === '/ws' ? 'GET' : 'POST', headers })
        expect(response.headers.get('x-request-id')).toMatch(expected)
        expect(await response.json()).toMatchObject({ requestId: response.headers.get('x-request-id') })
      }
    }
  },
)
