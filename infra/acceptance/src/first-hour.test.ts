import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  connectStomp,
  createDatabase,
  memberToken,
  type Nginx,
  type RedisServer,
  serviceToken,
  startNginx,
  startRedis,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Certificate, makeCertificate } from './fixture/certificate.ts'
import { type Container, type ImageName, Images, installNode } from './fixture/images.ts'
import { installed } from './fixture/installed.ts'
import { installedLanguages, Pair } from './fixture/language.ts'
import { root } from './fixture/repository.ts'
import { succeeds } from './fixture/shell.ts'

// What a stranger does in the first hour: clones the last commit, builds the images, starts two instances of each service as Compose would,
// puts nginx in front, connects programs in other languages, and deploys. Without Docker: see fixture/images.ts.
const deadlineMs = 60_000
/** Besides the version of the images, the other one that is maintained. */
const otherNodeVersion = '22'

function untilReady({ name, opsPort }: Container): Promise<unknown> {
  const ready = async () => (await fetch(`http://127.0.0.1:${opsPort}/ready`)).ok
  return waitFor(ready, { what: `${name} to be ready`, deadlineMs })
}

function portsOf([first, second]: readonly Container[]): [number, number] {
  return [first?.port ?? 0, second?.port ?? 0]
}

/** Replaces both instances of a service one after the other, each after the other one was ready again. */
async function restartInTurn(containers: Container[]): Promise<void> {
  for (const [index, container] of containers.entries()) {
    expect(await container.stopsInTime(), container.logs.join('\n')).toBe(true)
    const next = container.again()
    containers[index] = next
    await untilReady(next)
  }
}

describe.skipIf(!installed('the first hour', 'git', 'npm'))('the first hour', () => {
  let directory: string
  let images: Images
  let redis: RedisServer
  let nodes: string[]
  const apis: Container[] = []
  const gateways: Container[] = []
  let edge: Container | undefined
  let nginx: Nginx | undefined
  let pairs: Pair[] = []

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tidings-first-hour-'))
    redis = await startRedis()
  })
  afterAll(async () => {
    for (const each of [...pairs, nginx, edge, ...apis, ...gateways]) await each?.kill()
    await redis.kill()
    rmSync(directory, { recursive: true, force: true })
  })

  test('the Dockerfile builds a fresh clone', { timeout: 400_000 }, async () => {
    await succeeds(`git clone --quiet "${root}" "${directory}/clone"`)
    images = new Images(join(directory, 'clone'))
    const versions = [images.nodeVersion, otherNodeVersion]
    nodes = await Promise.all(versions.map((version) => installNode(version, join(root, '.local'))))
    const found = await Promise.all(nodes.map((node) => succeeds(`"${node}/node" --version`)))
    expect(found.map((version) => version.split('.')[0])).toEqual(versions.map((version) => `v${version}`))
    await images.build(directory, nodes[0] ?? '')
  })

  async function start(image: ImageName, node: number, addresses: NodeJS.ProcessEnv): Promise<Container> {
    const container = await images.start(image, directory, nodes[node] ?? '', { ...addresses, REDIS_URL: redis.url })
    await container.untilHealthy()
    return container
  }

  test('each image starts as in Compose, with its production dependencies only, and is healthy on both versions of Node', {
    timeout: 180_000,
  }, async () => {
    const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'acceptance_first_hour')
    // The one-off of installations with MIGRATE=off.
    const PATH = `${nodes[0]}:${process.env['PATH']}`
    const migrated = await succeeds('node dist/migrate.js', { cwd: join(directory, 'out/notify-api'), env: { PATH, MYSQL_URL } })
    expect(migrated).toContain('0001_notification.sql')
    for (const node of [0, 1]) apis.push(await start('notify-api', node, { MYSQL_URL }))
    const NOTIFY_API_URL = `http://127.0.0.1:${apis[0]?.port}`
    for (const node of [0, 1]) gateways.push(await start('realtime-gateway', node, { NOTIFY_API_URL, DRAIN_SECONDS: '5' }))
    const GATEWAY_URLS = gateways.map(({ port }) => `http://127.0.0.1:${port}`).join()
    edge = await start('edge', 1, { NOTIFY_API_URL, GATEWAY_URLS })
    // A service is alive before it is ready.
    for (const container of [...apis, ...gateways]) await untilReady(container)

    // A notification through all three, and the page.
    const url = `http://127.0.0.1:${edge.port}`
    const { session } = await connectStomp(url, { token: memberToken(1), origin: 'http://localhost:8080' })
    session.sends('SUBSCRIBE\nid:0\ndestination:/member/queue/notification\nreceipt:0\n\n\0')
    expect((await session.nextFrame(20_000)).command).toBe('RECEIPT')
    const sent = await fetch(`${url}/notification/send`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ memberId: 1, message: 'hello', redirectPath: '/' }),
    })
    expect(sent.status).toBe(201)
    expect(JSON.parse((await session.nextFrame(20_000)).body)).toMatchObject({ message: 'hello' })
    expect((await (await fetch(url)).text()).toLowerCase()).toContain('<!doctype html>')
    expect(await edge.stopsInTime()).toBe(true)
  })

  test.skipIf(!installed('clients in other languages behind nginx', 'nginx'))(
    'clients in other languages see nothing of a rolling restart behind nginx',
    { timeout: 300_000 },
    async () => {
      const local = join(root, '.local')
      const languages = installedLanguages()
      await Promise.all(languages.map((language) => language.prepare(local)))
      let tls: Certificate | undefined
      if (installed('a client over TLS and HTTP/2', 'openssl', 'go')) tls = await makeCertificate(directory)
      const started = await startNginx({ apiPorts: portsOf(apis), gatewayPorts: portsOf(gateways), ...(tls && { tls }) })
      nginx = started

      const pairOf = (language: (typeof languages)[number], memberId: number, url: string, env: NodeJS.ProcessEnv = {}) => {
        const tokens = { service: serviceToken({ scopes: ['notification:send'] }), member: memberToken(memberId) }
        return new Pair(language, local, { url, memberId, tokens, env })
      }
      pairs = languages.map((language, index) => pairOf(language, 21 + index, started.url))
      const go = languages.find(({ name }) => name === 'go')
      if (tls && go) pairs.push(pairOf(go, 31, started.tlsUrl ?? '', { SSL_CERT_FILE: tls.authority }))
      for (const pair of pairs) {
        await waitFor(() => pair.subscribed, { what: `${pair.name} to be subscribed`, deadlineMs })
        pair.startSending()
        await waitFor(() => pair.received.length > 3, { what: `${pair.name} to receive`, deadlineMs })
      }
      await restartInTurn(gateways)
      await restartInTurn(apis)
      for (const pair of pairs) {
        const count = pair.received.length
        await waitFor(() => pair.received.length > count, { what: `${pair.name} to receive again`, deadlineMs })
        await pair.stopSending()
        await waitFor(() => pair.lost.length === 0, { what: `${pair.name} to have received everything`, deadlineMs })
      }

      for (const { name, accepted, doubled, others } of pairs) {
        console.log(`${name}: ${accepted.length} accepted and received; ${others.join('; ')}`)
        expect(doubled, name).toEqual([])
        // What a deploy may show: the gateway stops, or no gateway accepts sessions at the moment; a repeatable response to a post.
        const expected = /^receive: (subscribed, recovered (nothing|true)|closed 1012|refused 503)$|^send: retry (409|429|503)$/
        expect(
          others.filter((line) => !expected.test(line)),
          name,
        ).toEqual([])
        expect(others, name).toContain('receive: closed 1012')
      }
      const { 101: upgraded = 0, 200: ok = 0, 201: created = 0, ...statuses } = started.statuses()
      expect(upgraded).toBeGreaterThan(pairs.length)
      expect(created + ok).toBeGreaterThan(0)
      expect(Object.keys(statuses).filter((status) => !['409', '429', '503'].includes(status))).toEqual([])
      if (tls && go) expect(started.requests().some((line) => line.includes('"POST /notification/send HTTP/2.0" 201'))).toBe(true)
    },
  )
})
