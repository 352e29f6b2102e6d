import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createDatabase,
  findBrowser,
  freeServicePort,
  memberToken,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
  type RedisServer,
  waitFor,
} from '@tidings/local'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import type { TidingsOptions } from '@tidings/client'
import { build } from 'vite'
import { inject, onTestFinished } from 'vitest'
import { openBrowserWindow } from './browser-window.test.fixture.ts'
import { deadlineMs } from './client-fact.test.fixture.ts'
import { Wire } from './client-wire.test.fixture.ts'

const quiet = ['quic', 'background-networking', 'component-update', 'sync'].map((what) => `--disable-${what}`)
const title = 'Orders'

/** The whole product, with the client's test page where the demo would be, and a wire between edge and gateways that can be cut. */
export interface ClientStack {
  readonly origin: string
  readonly wire: Wire
  readonly redis: RedisServer
  readonly api: ServiceProcess
  readonly gateways: readonly ServiceProcess[]
  readonly browser: Browser
  /** A browser profile of its own: another device, until the test has finished. */
  device(memberId: number, options?: DeviceOptions): Promise<Device>
  /** A device whose tabs are hidden, slowed down and cached as a person's are; at `about:blank` in front. */
  window(memberId: number, flags?: readonly string[]): Promise<Device>
  send(memberId: number, message: string): Promise<number>
  broadcast(message: string): Promise<number>
  post(path: string, body: object): Promise<Record<string, unknown>>
  /** Sessions that the gateways, or one of them, have for a member. */
  sessions(memberId: number, gateway?: ServiceProcess): Promise<number>
  /** Waits until there are so many. */
  hasSessions(memberId: number, count: number): Promise<boolean>
  /** As a gateway describes each. */
  sessionsOf(memberId: number, gateway?: ServiceProcess): Promise<readonly Session[]>
  close(): Promise<void>
}

export interface Session {
  readonly sessionId: string
  readonly subscriptions: readonly { readonly destination: string }[]
}

export interface DeviceOptions {
  readonly tokenSeconds?: number
  /** What `refreshSession` of all tabs does. */
  readonly refreshSession?: (device: Device) => Promise<boolean>
}

export interface Device {
  readonly context: BrowserContext
  readonly signIn: (memberId: number, tokenSeconds?: number) => Promise<void>
  readonly tab: (options?: TidingsOptions) => Promise<Page>
}

export interface ClientStackOptions {
  readonly gatewayEnv?: NodeJS.ProcessEnv
  /** What the page runs. */
  readonly entry?: string
}

export async function openClientStack(
  name: string,
  { gatewayEnv = {}, entry = 'client-page.ts' }: ClientStackOptions = {},
): Promise<ClientStack> {
  const [redis, mysqlUrl, page] = await Promise.all([
    startRedis(),
    createDatabase(inject('databaseServerUrl'), name),
    buildPage(entry),
  ])
  const port = await freeServicePort()
  const origin = `http://localhost:${port}`
  const shared = { REDIS_URL: redis.url, ALLOWED_ORIGINS: origin }
  const api = await startService('notify-api', { ...shared, MYSQL_URL: mysqlUrl })
  const ofGateway = { ...shared, NOTIFY_API_URL: api.url, DRAIN_SECONDS: '1', ...gatewayEnv }
  const gateways = await Promise.all([1, 2].map(() => startService('realtime-gateway', ofGateway)))
  const wire = await Wire.open(gateways.map((gateway) => gateway.port))
  const edge = await startService('edge', {
    ...shared,
    PORT: String(port),
    GATEWAY_URLS: wire.urls.join(','),
    NOTIFY_API_URL: api.url,
    EDGE_LOGIN: 'local',
    PAGE_DIRECTORY: page,
  })
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet],
  })

  async function post(path: string, body: object): Promise<Record<string, unknown>> {
    const response = await fetch(api.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${serviceToken()}` },
      body: JSON.stringify(body),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`POST ${path} answered ${response.status} ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  }

  async function sessionsOf(memberId: number, gateway?: ServiceProcess): Promise<readonly Session[]> {
    const answers = (gateway ? [gateway] : gateways).map(async ({ opsPort }) => {
      const answer = await fetch(`http://127.0.0.1:${opsPort}/session?memberId=${memberId}`)
      return ((await answer.json()) as { sessions: readonly Session[] }).sessions
    })
    return (await Promise.all(answers)).flat()
  }

  return {
    origin,
    wire,
    redis,
    api,
    gateways,
    browser,
    async device(memberId, options = {}) {
      const context = await browser.newContext()
      onTestFinished(() => context.close())
      return deviceIn(context, origin, memberId, options)
    },
    window: async (memberId, flags) => deviceIn(await openBrowserWindow(flags), origin, memberId, {}),
    send: async (memberId, message) =>
      (await post('/notification/send', { memberId, message, redirectPath: `/${message}` }))['notificationId'] as number,
    broadcast: async (message) =>
      (await post('/notification/broadcast', { message, redirectPath: '/notice' }))['notificationId'] as number,
    post,
    sessions: async (memberId, gateway) => (await sessionsOf(memberId, gateway)).length,
    hasSessions: (memberId, count) =>
      waitFor(async () => (await sessionsOf(memberId)).length === count, { deadlineMs, what: `${count} sessions` }),
    sessionsOf,
    async close() {
      await browser.close()
      await Promise.all([edge, ...gateways].map((service) => service.kill()))
      await api.kill()
      wire.close()
      await redis.kill()
      rmSync(page, { recursive: true, force: true })
    },
  }
}

async function deviceIn(context: BrowserContext, origin: string, memberId: number, options: DeviceOptions): Promise<Device> {
  const device: Device = {
    context,
    async signIn(member, tokenSeconds = 3_600) {
      const value = memberToken(member, { expiresInSeconds: tokenSeconds })
      await context.addCookies([{ name: 'access_token', value, url: origin, httpOnly: true, sameSite: 'Lax' }])
    },
    async tab(tidingsOptions = {}) {
      const page = await context.newPage()
      await page.addInitScript((given) => {
        window.tidingsOptions = given
      }, tidingsOptions)
      await page.goto(origin)
      return page
    },
  }
  await device.signIn(memberId, options.tokenSeconds)
  const { refreshSession } = options
  if (refreshSession) await context.exposeFunction('refreshSessionInTest', () => refreshSession(device))
  return device
}

/** As an application's bundler does it. */
async function buildPage(entry: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'tidings-client-page-'))
  await build({
    configFile: false,
    root: import.meta.dirname,
    logLevel: 'error',
    // React's StrictMode mounts twice in development only.
    define: { 'process.env.NODE_ENV': JSON.stringify('development') },
    resolve: { conditions: ['tidings:source', 'browser', 'module', 'import', 'default'] },
    build: {
      outDir: directory,
      lib: { entry: join(import.meta.dirname, entry), formats: ['es'], fileName: () => 'page.js' },
    },
  })
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><button>Ask</button><main></main><script type="module" src="/page.js"></script></body></html>`
  writeFileSync(join(directory, 'index.html'), html)
  return directory
}
