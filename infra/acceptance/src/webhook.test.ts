import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createDatabase,
  freePort,
  type OwnedProcess,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  spawnOwned,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { installed } from './fixture/installed.ts'
import { read } from './fixture/repository.ts'
import { npmPackages, pythonPackages } from './fixture/tool.ts'

// The receivers in docs/WEBHOOK.md, with the libraries of Standard Webhooks from their registries.
const secret = `whsec_${Buffer.alloc(32, 'a secret').toString('base64')}`
const receivers = [
  {
    file: 'receiver.mjs',
    needs: ['npm'],
    command: ['node', 'receiver.mjs'] as const,
    prepare: async (directory: string) => {
      const packages = await npmPackages('webhook', 'standardwebhooks@1.1.1')
      symlinkSync(join(packages, 'node_modules'), join(directory, 'node_modules'))
      return {}
    },
  },
  {
    file: 'receiver.py',
    needs: ['python3', 'pip3'],
    command: ['python3', 'receiver.py'] as const,
    prepare: async () => ({ PYTHONPATH: await pythonPackages('webhook', 'standardwebhooks==1.1.0') }),
  },
]

let directory: string
let redis: RedisServer

beforeAll(async () => {
  redis = await startRedis()
  directory = mkdtempSync(join(tmpdir(), 'tidings-webhook-'))
})
afterAll(async () => {
  await redis.kill()
  rmSync(directory, { recursive: true, force: true })
})

describe.each(receivers.filter(({ file, needs }) => installed(`${file} of docs/WEBHOOK.md`, ...needs)))('$file', (each) => {
  const { file, command, prepare } = each
  let api: ServiceProcess | undefined
  let receiver: OwnedProcess | undefined
  afterAll(() => Promise.all([api?.kill(), receiver?.kill()]))

  test('verifies what notify-api sends, and refuses what it does not send', { timeout: 120_000 }, async () => {
    const code = new RegExp(`^\`\`\`\\w+ ${file}\n([^]*?)^\`\`\`$`, 'm').exec(read('docs/WEBHOOK.md'))?.[1] ?? ''
    const port = await freePort()
    writeFileSync(join(directory, file), code.replaceAll('3000', String(port)))
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], WEBHOOK_SECRET: secret, ...(await prepare(directory)) }
    const lines: string[] = []
    const [program, ...args] = command
    receiver = spawnOwned({ name: file, command: program, args, cwd: directory, env, onLine: (line) => lines.push(line) })
    await waitFor(() => lines.includes('listening'), { what: `${file} to listen`, deadlineMs: 20_000 })
    const url = await createDatabase(inject('databaseServerUrl'), `acceptance_webhook_${file.replace('.', '_')}`)
    const webhook = { WEBHOOK_URL: `http://127.0.0.1:${port}/tidings`, WEBHOOK_SECRET: `whsec_${'A'.repeat(44)} ${secret}` }
    api = await startService('notify-api', { MYSQL_URL: url, REDIS_URL: redis.url, ...webhook })
    const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' }
    const send = (message: string) =>
      fetch(`${api?.url}/notification/send`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ memberId: 'auth0|a1', message, escalate: { webhook: true } }),
      })
    for (const message of ['오래된 소식', 'a later one']) expect((await send(message)).status).toBe(201)
    const unseen = () => lines.filter((line) => line.startsWith('unseen: ')).toSorted()
    await waitFor(() => unseen().length === 2, { what: 'both events', deadlineMs: 20_000 })
    expect(unseen()).toEqual(['a later one', '오래된 소식'].map((message) => `unseen: ${message} (member auth0|a1)`))
    const forged = { ...headers, 'webhook-id': 'esc_1', 'webhook-timestamp': '1', 'webhook-signature': 'v1,x' }
    expect((await fetch(webhook.WEBHOOK_URL, { method: 'POST', headers: forged, body: '{}' })).status).toBe(401)
  })
})
