import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  createDatabase,
  developmentSecrets,
  findProgram,
  freeServicePort,
  localOrigin,
  memberToken,
  type OwnedProcess,
  queryDatabase,
  type RedisServer,
  type ServiceProcess,
  spawnOwned,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { installed } from './fixture/installed.ts'
import { read, root } from './fixture/repository.ts'
import { succeeds } from './fixture/shell.ts'

// docs/MIGRATION.md: its Java is that of the project in ../spring, which runs here, and its SQL is executed.
const project = 'infra/acceptance/spring'
const sources = `${project}/src/main/java/example`
const page = read('docs/MIGRATION.md')
const deadlineMs = 60_000

function blocksOf(language: string): string[] {
  return [...page.matchAll(new RegExp(`^ *\`\`\`${language}\n(.*?)^ *\`\`\`$`, 'gms'))].map((match) => match[1] ?? '')
}

const flat = (text: string) => text.replaceAll(/^ +/gm, '').trim()
const notice = (id: number) =>
  `/member/queue/notification {"memberId":7,"notificationId":${id},"message":"주문이 발송되었습니다.","redirectPath":"/order/17"}`

test('each block of Java is a part of a file of the project', () => {
  const files = readdirSync(join(root, sources)).map((file) => flat(read(`${sources}/${file}`)))
  const blocks = blocksOf('java')
  expect(blocks.length).toBeGreaterThan(3)
  expect(blocks.filter((block) => !files.some((file) => file.includes(flat(block))))).toEqual([])
})

describe.skipIf(!installed('the migration of a Spring application', 'java', 'mvn', 'redis-cli'))('a Spring application', () => {
  let redis: RedisServer
  let databaseUrl: string
  let shopDatabaseUrl: string
  let api: ServiceProcess
  let gateway: ServiceProcess
  let shop: OwnedProcess
  let shopUrl: string
  const lines: string[] = []

  beforeAll(async () => {
    const build = `mvn -q -B -Dmaven.repo.local="${root}/.local/maven" -f "${root}/${project}/pom.xml" package`
    const built = succeeds(build)
    redis = await startRedis()
    databaseUrl = await createDatabase(inject('databaseServerUrl'), 'acceptance_spring')
    shopDatabaseUrl = await createDatabase(inject('databaseServerUrl'), 'acceptance_spring_shop')
    api = await startService('notify-api', { REDIS_URL: redis.url, MYSQL_URL: databaseUrl })
    gateway = await startService('realtime-gateway', {
      REDIS_URL: redis.url,
      NOTIFY_API_URL: api.url,
      PUBLIC_TOPICS: 'order.*',
      HEART_BEAT_MS: '1000',
    })
    await built
    const port = await freeServicePort()
    shopUrl = `http://127.0.0.1:${port}`
    shop = spawnOwned({
      name: 'shop',
      command: findProgram('java') ?? 'java',
      args: ['-XX:TieredStopAtLevel=1', '-Dfile.encoding=UTF-8', '-jar', join(root, project, 'target/shop.jar')],
      env: {
        PATH: process.env['PATH'],
        PORT: String(port),
        TIDINGS_URL: api.url,
        SERVICE_JWT_SECRET: developmentSecrets.service,
        RECEIVER_URL: `${gateway.url.replace('http', 'ws')}/ws`,
        RECEIVER_ORIGIN: localOrigin,
        RECEIVER_HEARTBEATMS: '1000',
        RECEIVER_MEMBERTOKEN: memberToken(7),
      },
      onLine: (line) => lines.push(line),
    })
  }, 240_000)
  afterAll(async () => {
    await Promise.all([shop, gateway, api].map((each) => each?.kill()))
    await redis?.kill()
  })

  async function untilPrinted(line: RegExp | string, times = 1): Promise<void> {
    const count = () => lines.filter((each) => (typeof line === 'string' ? each === line : line.test(each))).length
    await waitFor(() => count() >= times, { what: `${times} × ${line}`, deadlineMs }).catch((error: unknown) => {
      throw new Error(lines.join('\n'), { cause: error })
    })
  }

  async function call(method: string, path: string): Promise<string> {
    const response = await fetch(shopUrl + path, { method })
    const text = await response.text()
    expect(response.status, text).toBe(200)
    return text
  }

  /** Resolves to the ms from the begin of the member's session to its last sign of life. */
  async function activeMs(memberId: number): Promise<number> {
    const response = await fetch(`${api.url}/session`, { headers: { cookie: `access_token=${memberToken(memberId)}` } })
    const { sessions } = (await response.json()) as { sessions: { connectedAt: string; lastActivityAt: string }[] }
    const [session] = sessions
    return session ? Date.parse(session.lastActivityAt) - Date.parse(session.connectedAt) : 0
  }

  test('sends with SimpMessagingTemplate, receives with WebSocketStompClient, is cut off and resumes', {
    timeout: 180_000,
  }, async () => {
    await untilPrinted('connected')
    for (const name of ['member/queue/notification', 'member/queue/cart', 'topic/all', 'topic/order.17']) {
      await untilPrinted(`subscribed to /${name}`)
    }
    await call('POST', '/order/17/ship/7')
    await untilPrinted(notice(1))
    await untilPrinted('/member/queue/cart {"items":0}')
    await untilPrinted('/topic/order.17 {"state":"shipped"}')
    await call('POST', '/maintenance')
    await untilPrinted('/topic/all {"notificationId":2,"message":"점검이 시작됩니다.","redirectPath":"/notice/1"}')
    await waitFor(async () => (await call('GET', '/online/7')) === 'true', { what: 'member 7 to be online', deadlineMs })
    expect(await call('GET', '/online/8')).toBe('false')

    // Heart-beats in both directions: either side would have ended the session after three periods without them.
    await waitFor(async () => (await activeMs(7)) > 4_000, { what: 'heart-beats for four periods', deadlineMs })
    expect(lines.filter((line) => line === 'connected')).toHaveLength(1)

    // Nothing is received while the only gateway is gone.
    await gateway.kill()
    await untilPrinted(/^disconnected: /)
    await call('POST', '/order/17/ship/7')
    await call('POST', '/maintenance')
    gateway = await gateway.again()
    for (const name of ['member/queue/notification', 'member/queue/cart', 'topic/all', 'topic/order.17']) {
      await untilPrinted(`subscribed to /${name}, recovered true`)
    }
    await untilPrinted(notice(3))
    await untilPrinted('/topic/order.17 {"state":"shipped"}', 2)
    await untilPrinted('/topic/all {"notificationId":4,"message":"점검이 시작됩니다.","redirectPath":"/notice/1"}')
    const received = lines.filter((line) => line.startsWith('/'))
    expect(new Set(received.filter((line) => line.includes('notificationId'))).size).toBe(4)
    expect(received).toHaveLength(8)
  })

  test('while it still publishes on Redis itself, its receivers get that, too', async () => {
    const old = '{"memberId":7,"notificationId":41,"message":"old","redirectPath":"/"}'
    await succeeds(`redis-cli -p ${redis.port} publish member:7:notification '${old}'`)
    await untilPrinted(`/member/queue/notification ${old}`)
  })

  test('the rows of the old inbox are taken over, and new ids come after them', async () => {
    await queryDatabase(
      shopDatabaseUrl,
      `CREATE TABLE notification (id BIGINT AUTO_INCREMENT PRIMARY KEY, member_id BIGINT NOT NULL, message TEXT NOT NULL,
        redirect_path VARCHAR(2048), created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), read_at DATETIME(3))`,
    )
    await queryDatabase(
      shopDatabaseUrl,
      "INSERT INTO notification (id, member_id, message, redirect_path, read_at) VALUES (501, 9, 'read', '/a', NOW(3)), (502, 9, 'new', NULL, NULL)",
    )
    const statements = blocksOf('sql').flatMap((block) => block.split(/;\n/).filter((statement) => statement.trim()))
    expect(statements).toHaveLength(2)
    for (const statement of statements) {
      await queryDatabase(
        databaseUrl,
        statement.replaceAll('shop.', 'acceptance_spring_shop.').replaceAll('tidings.', 'acceptance_spring.'),
      )
    }
    const cookie = `access_token=${memberToken(9)}`
    const response = await fetch(`${api.url}/notification`, { headers: { cookie } })
    const { items } = (await response.json()) as { items: { memberId?: number }[] }
    expect(items.filter(({ memberId }) => memberId === 9)).toMatchObject([
      { notificationId: 502, message: 'new', redirectPath: '/', readAt: null },
      { notificationId: 501, message: 'read', redirectPath: '/a' },
    ])
    const broadcasts = items.filter(({ memberId }) => memberId === undefined).length
    const unread = await fetch(`${api.url}/notification/unread-count`, { headers: { cookie } })
    expect(await unread.json()).toMatchObject({ unreadCount: 1 + broadcasts })
    await call('POST', '/order/17/ship/7')
    await untilPrinted(/"notificationId":1000000000,/)
  })
})
