import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import {
  connectStomp,
  createDatabase,
  memberToken,
  type RawSession,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
  subscribe,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { installed } from './fixture/installed.ts'
import { read, root } from './fixture/repository.ts'
import { pythonPackages, run } from './fixture/tool.ts'

// The programs in docs/quick-start, as they are on the pages, against real services behind the edge of `npm start`.
const text = '환불은 7일 안에 가능합니다.'

interface Page {
  readonly needs: readonly string[]
  /** The command of the page that runs its program. */
  readonly start: string
  /** Runs the program that writes into a task until the member cancels it. */
  readonly cancel?: string
}

const pages: Readonly<Record<string, Page>> = {
  curl: { needs: ['bash', 'curl'], start: 'bash quick-start.sh' },
  go: { needs: ['go'], start: 'go run main.go' },
  java: {
    needs: ['java', 'javac'],
    start: 'java QuickStart.java',
    cancel: 'javac QuickStart.java Cancel.java && java Cancel',
  },
  node: { needs: [], start: 'node quick-start.mjs', cancel: 'node cancel.mjs' },
  python: { needs: ['python3', 'pip3'], start: 'python3 quick_start.py', cancel: 'python3 cancel.py' },
  spring: { needs: ['java', 'mvn'], start: 'mvn spring-boot:run' },
}

let directory: string
let redis: RedisServer
let services: readonly ServiceProcess[]
let url: string
let env: Record<string, string>

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidings-quick-start-'))
  redis = await startRedis()
  const databaseUrl = await createDatabase(inject('databaseServerUrl'), 'acceptance_quick_start')
  const api = await startService('notify-api', { MYSQL_URL: databaseUrl, REDIS_URL: redis.url })
  const gateway = await startService('realtime-gateway', { REDIS_URL: redis.url, NOTIFY_API_URL: api.url })
  const edge = await startService('edge', { NOTIFY_API_URL: api.url, GATEWAY_URLS: gateway.url })
  services = [edge, gateway, api]
  url = edge.url
  env = { TIDINGS_URL: url, TIDINGS_TOKEN: serviceToken() }
})
afterAll(async () => {
  await Promise.all(services.map((service) => service.kill()))
  await redis.kill()
  rmSync(directory, { recursive: true, force: true })
})

/** Writes the programs of a page, which are the code blocks with a file name, and returns their directory. */
function extract(page: string): string {
  const target = join(directory, page)
  const blocks = read(`docs/quick-start/${page}.md`).matchAll(/^```\w+ (\S+)\n([^]*?)^```$/gm)
  for (const [, name = '', code = ''] of blocks) {
    mkdirSync(dirname(join(target, name)), { recursive: true })
    writeFileSync(join(target, name), code)
  }
  return target
}

/** Returns the environment of a program, with the packages that its page installs. */
async function environmentOf(page: string): Promise<Record<string, string>> {
  if (page !== 'python') return env
  return { ...env, PYTHONPATH: await pythonPackages('httpx', 'httpx==0.28.1') }
}

async function follow(destinations: readonly string[]): Promise<RawSession> {
  const { session } = await connectStomp(url, { memberId: 7 })
  for (const destination of destinations) await subscribe(session, destination, destination)
  return session
}

interface Body {
  readonly taskId: string
  readonly [field: string]: unknown
}

async function nextBody(session: RawSession): Promise<Body> {
  return JSON.parse((await session.nextFrame(120_000)).body) as Body
}

async function readTask(taskId: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/task/${taskId}`, { headers: { authorization: `Bearer ${env['TIDINGS_TOKEN']}` } })
  return (await response.json()) as Record<string, unknown>
}

function post(path: string, token: string, body: unknown): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
}

test('the index has each page, and each page is tested', () => {
  const files = readdirSync(join(root, 'docs/quick-start')).map((file) => basename(file, '.md'))
  expect(Object.keys(pages)).toEqual(files.toSorted())
  const index = read('docs/README.md')
  for (const page of files) {
    expect(index).toContain(`(quick-start/${page}.md)`)
    expect(read(`docs/quick-start/${page}.md`)).toContain(`\n${pages[page]?.start}\n`)
  }
})

test('a backend ends its own task with finish, because cancel is for members', async () => {
  const token = serviceToken()
  const { taskId } = (await (await post('/task', token, { memberId: 9, kind: 'chat' })).json()) as { taskId: string }
  expect((await post(`/task/${taskId}/cancel`, token, {})).status).toBe(401)
  const finish = { status: 'failed', error: 'The question was withdrawn.' }
  expect((await post(`/task/${taskId}/finish`, token, finish)).status).toBe(200)
})

const runnable = Object.entries(pages).filter(([page, { needs }]) => installed(`docs/quick-start/${page}.md`, ...needs))

describe.each(runnable)('%s', (page, { start, cancel }) => {
  test('the notifications arrive, and the task has the text that was streamed', { timeout: 240_000 }, async () => {
    const cwd = extract(page)
    if (page === 'spring') {
      mkdirSync(join(cwd, '.mvn'))
      writeFileSync(join(cwd, '.mvn/maven.config'), `-B\n-q\n-Dmaven.repo.local=${join(root, '.local/maven')}\n`)
    }
    const notifications = await follow(['/member/queue/notification'])
    const tasks = await follow(['/member/queue/task'])
    const program = run('sh', ['-c', start], { cwd, env: await environmentOf(page) })
    const arrived = async () => {
      expect(await nextBody(notifications)).toMatchObject({ message: 'Your order has been paid.', redirectPath: '/order/17' })
      const { type, taskId } = await nextBody(tasks)
      expect(type).toBe('started')
      expect(await nextBody(notifications)).toMatchObject({ message: 'Your answer is ready.', redirectPath: '/chat/1' })
      expect(await nextBody(tasks)).toMatchObject({ type: 'finished', taskId, status: 'succeeded' })
      expect(await readTask(taskId)).toMatchObject({ text, status: 'succeeded' })
    }
    await Promise.all([program, arrived()])
    for (const session of [notifications, tasks]) await session.leaves()
  })

  if (cancel === undefined) return
  test('a program stops when the member cancels', { timeout: 120_000 }, async () => {
    expect(await runUntilCancelled(cancel, extract(page), await environmentOf(page))).toMatch(/^cancelled$/m)
  })
})

const streaming = [
  ['go', '"가능합니다."', ', ', /^cancelled$/m],
  ['curl', "'가능합니다.'", ' ', /"taskStatus":"cancelled"/],
] as const

test.each(streaming.filter(([page]) => runnable.some(([name]) => name === page)))(
  '%s learns of a cancel while it streams',
  { timeout: 120_000 },
  async (page, word, separator, output) => {
    const cwd = extract(page)
    const { start = '' } = pages[page] ?? {}
    const file = join(cwd, start.split(' ').at(-1) ?? '')
    // An answer that does not end within the time of this test.
    const words = Array.from({ length: 2_000 }, () => word).join(separator)
    writeFileSync(file, readFileSync(file, 'utf8').replace(word, words))
    expect(await runUntilCancelled(start, cwd, env)).toMatch(output)
  },
)

/** Runs a program, cancels its task as the member once it has text, and resolves to the output of the program. */
async function runUntilCancelled(command: string, cwd: string, environment: Record<string, string>): Promise<string> {
  const tasks = await follow(['/member/queue/task'])
  const program = run('sh', ['-c', command], { cwd, env: environment }).catch(String)
  const { taskId } = await nextBody(tasks)
  await waitFor(async () => (await readTask(taskId))['text'] !== '', { what: 'the first text', deadlineMs: 30_000 })
  expect((await post(`/task/${taskId}/cancel`, memberToken(7), {})).status).toBe(200)
  const output = await program
  await tasks.leaves()
  return output
}
