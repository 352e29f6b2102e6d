import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import {
  createDatabase,
  findBrowser,
  freeServicePort,
  memberToken,
  packPackages,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

// The packed packages, installed by npm into programs of their own. What npm has downloaded is kept in `.local`.
const root = join(import.meta.dirname, '../../..')
const cache = join(root, '.local/acceptance')
const deadlineMs = 60_000

let directory: string
let tarballs: Record<'client' | 'producer' | 'protocol', string>

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidings-package-'))
  const packed = await packPackages(join(directory, 'packed'))
  const tarball = (name: string) => packed.find((path) => basename(path).startsWith(`tidings-${name}-`)) ?? ''
  tarballs = { client: tarball('client'), producer: tarball('producer'), protocol: tarball('protocol') }
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const env = {
    ...process.env,
    npm_config_cache: join(cache, 'npm'),
    NEXT_TELEMETRY_DISABLED: '1',
    NODE_OPTIONS: '',
    NODE_ENV: undefined,
  }
  try {
    return (await promisify(execFile)(command, args, { cwd, env, maxBuffer: 2 ** 24 })).stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${command} ${args.join(' ')} failed\n${stdout}${stderr}`, { cause: error })
  }
}

/** Installs an app of `app/` and the packages in it, and resolves to its directory. Its other dependencies stay installed. */
async function install(app: string, packages: readonly string[]): Promise<string> {
  const target = join(cache, app)
  mkdirSync(target, { recursive: true })
  for (const entry of readdirSync(target)) if (entry !== 'node_modules') rmSync(join(target, entry), { recursive: true })
  for (const stale of ['@tidings', '.package-lock.json'])
    rmSync(join(target, 'node_modules', stale), { recursive: true, force: true })
  cpSync(join(import.meta.dirname, '../app', app), target, { recursive: true })
  await run(target, 'npm', 'install', '--no-package-lock', '--no-audit', '--no-fund', '--prefer-offline', ...packages)
  return target
}

describe('apps that use the client', () => {
  let redis: RedisServer
  let services: ServiceProcess[] = []
  let api: ServiceProcess
  let browser: Browser
  let origin: string

  beforeAll(async () => {
    const pages = join(directory, 'pages')
    const [vite, next] = [await install('vite', [tarballs.client]), await install('next', [tarballs.client])]
    expect(readdirSync(join(vite, 'node_modules/@tidings'))).toEqual(['client'])
    expect(readdirSync(join(vite, 'node_modules'))).not.toContain('zod')
    await run(vite, join(root, 'node_modules/.bin/tsc'), '-p', '.')
    await run(vite, 'npx', 'vite', 'build', '--base', '/vite/', '--outDir', join(pages, 'vite'))
    await run(next, 'npx', 'next', 'build')
    // What the edge serves, with the apps beside the demo page.
    cpSync(join(root, 'packages/demo/dist'), pages, { recursive: true })
    cpSync(join(next, 'out'), join(pages, 'next'), { recursive: true })
    cpSync(join(import.meta.dirname, '../app/script'), join(pages, 'script'), { recursive: true })

    const databaseUrl = await createDatabase(inject('databaseServerUrl'), 'e2e_package')
    redis = await startRedis()
    const port = String(await freeServicePort())
    origin = `http://localhost:${port}`
    const shared = { REDIS_URL: redis.url, ALLOWED_ORIGINS: origin }
    api = await startService('notify-api', { ...shared, MYSQL_URL: databaseUrl })
    const gateway = await startService('realtime-gateway', { ...shared, NOTIFY_API_URL: api.url })
    const addresses = { PORT: port, GATEWAY_URLS: gateway.url, NOTIFY_API_URL: api.url, PAGE_DIRECTORY: pages }
    services = [api, gateway, await startService('edge', { ...shared, ...addresses })]
    browser = await chromium.launch({ executablePath: findBrowser(), args: ['--no-sandbox', '--disable-gpu'] })
  }, 400_000)
  afterAll(async () => {
    await browser.close()
    await Promise.all(services.map((service) => service.kill()))
    await redis.kill()
  })

  test.each([
    ['vite', 1],
    ['next', 2],
    ['script', 3],
  ])('%s: a notification is shown and marked as read', async (app, memberId) => {
    const context = await browser.newContext()
    const token = memberToken(memberId)
    await context.addCookies([{ name: 'access_token', value: token, url: origin, httpOnly: true }])
    const page = await context.newPage()
    const errors: string[] = []
    page.on('pageerror', ({ message }) => errors.push(message))
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    await page.goto(`${origin}/${app}/`)
    await page.getByText('connected', { exact: true }).waitFor()
    await fetch(`${api.url}/notification/send`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${serviceToken()}` },
      body: JSON.stringify({ memberId, message: 'hello', redirectPath: '/' }),
    })
    await page.getByText('1 unread').waitFor()
    await page.getByRole('button', { name: 'hello' }).click()
    await page.getByText('0 unread').waitFor()
    const isRead = async () => {
      const response = await fetch(`${api.url}/notification/unread-count`, { headers: { authorization: `Bearer ${token}` } })
      return ((await response.json()) as { unreadCount: number }).unreadCount === 0
    }
    await waitFor(isRead, { deadlineMs, what: 'the mark on the server' })
    expect(errors).toEqual([])
    await context.close()
  })
})

test('a server imports all three without a browser', async () => {
  const target = await install('node', Object.values(tarballs))
  expect(await run(target, process.execPath, 'main.mjs')).toBe('stopped 1012 function\n')
})

test('publint and attw find nothing in the packages', async () => {
  const target = await install('lint', [])
  for (const tarball of Object.values(tarballs)) {
    await run(target, 'npx', 'publint', 'run', tarball, '--strict')
    // A script for browsers, which nothing imports.
    await run(target, 'npx', 'attw', tarball, '--profile', 'esm-only', '--exclude-entrypoints', 'tidings-worker.js')
  }
}, 180_000)
