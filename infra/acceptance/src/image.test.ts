import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  connectStomp,
  createDatabase,
  freeServicePort,
  memberToken,
  type OwnedProcess,
  type RedisServer,
  serviceToken,
  spawnOwned,
  startRedis,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { parse } from 'yaml'

// What the images hold and how Compose starts them, without Docker: the commands of the Dockerfile that assemble each image, its environment, its
// command and its health check, with the environment of docker-compose.yml.
const root = join(import.meta.dirname, '../../..')
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8')
const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true }) as Compose
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { packageManager: string }
const images = ['notify-api', 'realtime-gateway', 'edge'] as const
type Image = (typeof images)[number]

interface Compose {
  readonly services: Record<string, { environment?: Record<string, string>; build?: { target: string } }>
}

let out: string
let redis: RedisServer
let databaseUrl: string
const containers = new Map<Image, { env: NodeJS.ProcessEnv; process: OwnedProcess }>()

beforeAll(async () => {
  out = mkdtempSync(join(tmpdir(), 'tidings-image-'))
  redis = await startRedis()
  databaseUrl = await createDatabase(inject('databaseServerUrl'), 'e2e_image')
})
afterAll(async () => {
  await Promise.all([...containers.values()].map(({ process }) => process.kill()))
  await redis.kill()
  rmSync(out, { recursive: true, force: true })
})

/** The instructions of a stage of the Dockerfile, with those of the stages it is built from. */
function instructionsOf(stage: string): { name: string; rest: string }[] {
  const stages = dockerfile.replaceAll(/\\\n/g, ' ').split(/^(?=FROM )/m)
  const text = stages.find((each) => each.split('\n')[0]?.endsWith(` AS ${stage}`)) ?? ''
  const lines = text.split('\n').filter((line) => /^[A-Z]+ /.test(line))
  const [from, ...own] = lines.map((line) => ({ name: line.split(' ')[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }))
  const base = from?.rest.split(' ')[0] ?? ''
  return [...(stages.some((each) => each.split('\n')[0]?.endsWith(` AS ${base}`)) ? instructionsOf(base) : []), ...own]
}

function last(stage: string, name: string): string {
  return instructionsOf(stage).findLast((instruction) => instruction.name === name)?.rest ?? ''
}

async function shell(command: string, env: NodeJS.ProcessEnv, cwd: string): Promise<{ code: unknown; output: string }> {
  const child = spawn('sh', ['-c', command], { cwd, env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()))
  const [code] = (await once(child, 'close')) as unknown[]
  return { code, output }
}

/** The environment of a service in Compose, its variables replaced by their defaults. */
function composed(image: Image): Record<string, string> {
  const { environment = {} } = compose.services[image] ?? {}
  const resolve = (value: string): string =>
    /\$\{\w+:-(?:[^${}]|\$\{[^}]*\})*\}/.test(value)
      ? resolve(value.replace(/\$\{\w+:-((?:[^${}])*)\}/, (_all, fallback: string) => fallback))
      : value
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, resolve(value)]))
}

async function run(image: Image, addresses: Record<string, string>): Promise<{ port: string }> {
  const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: out }
  for (const { name, rest } of instructionsOf(image)) {
    if (name === 'ENV') Object.assign(env, Object.fromEntries(rest.split(' ').map((pair) => pair.split('='))))
  }
  const port = String(await freeServicePort())
  const opsPort = env['OPS_PORT'] && { OPS_PORT: String(await freeServicePort()) }
  Object.assign(env, composed(image), addresses, { PORT: port, HOST: '127.0.0.1' }, opsPort)
  const [command = '', ...args] = JSON.parse(last(image, 'CMD')) as string[]
  containers.set(image, { env, process: spawnOwned({ name: image, command, args, cwd: join(out, image), env }) })
  return { port }
}

async function untilHealthy(image: Image): Promise<void> {
  const { env, process } = containers.get(image) ?? { env: {}, process: undefined }
  const check = last(image, 'HEALTHCHECK').replace(/^.*? CMD /, '')
  const healthy = async () => (await shell(check, env, join(out, image))).code === 0
  await waitFor(healthy, { what: `${image} to be healthy`, deadlineMs: 30_000 }).catch((error: unknown) => {
    throw new Error(process?.logs.join('\n'), { cause: error })
  })
}

test('each image holds what its service needs, starts as Compose starts it, and passes its health check', {
  timeout: 180_000,
}, async () => {
  const deploy = instructionsOf('build').find(({ name, rest }) => name === 'RUN' && rest.includes(' deploy '))?.rest ?? ''
  const commands = deploy.replaceAll(/\bpnpm /g, `npx -y ${packageManager} `).replaceAll('/out/', `${out}/`)
  const deployed = await shell(commands, process.env, root)
  expect(deployed.code, deployed.output).toBe(0)
  for (const image of images) expect(compose.services[image]?.build?.target).toBe(image)

  // The one-off of installations with MIGRATE=off.
  const migration = await shell(
    'node dist/migrate.js',
    { PATH: process.env['PATH'], MYSQL_URL: databaseUrl },
    join(out, 'notify-api'),
  )
  expect(migration, migration.output).toMatchObject({ code: 0, output: expect.stringContaining('0001_notification.sql') })

  const api = await run('notify-api', { MYSQL_URL: databaseUrl, REDIS_URL: redis.url })
  const NOTIFY_API_URL = `http://127.0.0.1:${api.port}`
  const gateway = await run('realtime-gateway', { REDIS_URL: redis.url, NOTIFY_API_URL })
  const edge = await run('edge', { NOTIFY_API_URL, GATEWAY_URLS: `http://127.0.0.1:${gateway.port}` })
  for (const image of images) await untilHealthy(image)
  // notify-api is alive before it has migrated the database.
  const ready = `http://127.0.0.1:${containers.get('notify-api')?.env['OPS_PORT']}/ready`
  await waitFor(async () => (await fetch(ready)).ok, { what: 'notify-api to be ready', deadlineMs: 30_000 })

  // A notification through all three.
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
  for (const image of images) expect(await containers.get(image)?.process.stop(40_000), image).toEqual({ code: 0, signal: null })
})
