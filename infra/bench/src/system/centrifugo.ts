import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freeServicePort, localOrigin, spawnOwned, startRedis } from '@tidings/local'
import { buildDirectory, required } from './build.ts'
import {
  type Environment,
  newDatabase,
  secrets,
  startProgram,
  startServer,
  stopAll,
  type System,
  type SystemKind,
} from './system.ts'

const version = 'v6.9.1'
const program = join(buildDirectory, 'centrifugo')
const apiKey = 'bench'
const pingIntervalOff = '300s'

/** Centrifugo with its Redis engine, JSON protocol, history and recovery, in front of it a backend that inserts and publishes. */
export const centrifugo: SystemKind = { name: 'Centrifugo', version: `Centrifugo ${version}`, prepare, start: startCentrifugo }

async function prepare(): Promise<void> {
  if (existsSync(program)) return
  const go = required('go')
  mkdirSync(buildDirectory, { recursive: true })
  const env = { ...process.env, GOBIN: buildDirectory }
  const install = spawnOwned({
    name: 'go',
    command: go,
    args: ['install', `github.com/centrifugal/centrifugo/v6@${version}`],
    env,
  })
  const { code } = await install.exited
  if (code !== 0) throw new Error(['Centrifugo could not be built', ...install.logs.slice(-20)].join('\n'))
}

async function startCentrifugo(environment: Environment): Promise<System> {
  const redis = await startRedis()
  const folder = mkdtempSync(join(tmpdir(), 'tidings-bench-'))
  const node = async (name: string) => {
    const port = await freeServicePort()
    const file = join(folder, `${name}.json`)
    writeFileSync(file, JSON.stringify(configuration(port, redis.url)))
    return { process: await startServer(name, program, ['-c', file], {}, /serving/i), port }
  }
  const gateway = await node('centrifugo')
  // Publications enter by another node, as they would from another machine. Only `gateway` is measured.
  const entry = await node('centrifugo-entry')
  const backend = await startProgram('centrifugo-backend', {
    MYSQL_URL: await newDatabase(environment),
    CENTRIFUGO_URL: `http://127.0.0.1:${gateway.port}`,
    CENTRIFUGO_KEY: apiKey,
  })
  return {
    name: 'Centrifugo',
    endpoint: { wire: 'centrifugo', port: gateway.port },
    gateway: gateway.process,
    services: [gateway.process, backend.process],
    redis,
    postUrl: `http://127.0.0.1:${backend.port}`,
    async publish(target, body) {
      const channel = target === 'all' ? 'broadcast:all' : `member:notification#${target}`
      const response = await fetch(`http://127.0.0.1:${entry.port}/api/publish`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': apiKey },
        body: `{"channel":"${channel}","data":${body}}`,
      })
      if (!response.ok) throw new Error(await response.text())
      await response.arrayBuffer()
    },
    async stop() {
      await stopAll(gateway.process, entry.process, backend.process)
      await redis.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function configuration(port: number, redisUrl: string): object {
  const kept = { history_size: 100, history_ttl: '86400s', force_recovery: true }
  return {
    http_server: { address: '127.0.0.1', port: String(port) },
    http_api: { key: apiKey },
    client: {
      allowed_origins: [localOrigin],
      token: { hmac_secret_key: secrets.MEMBER_JWT_SECRET },
      ping_interval: pingIntervalOff,
      pong_timeout: '8s',
    },
    engine: { type: 'redis', redis: { address: redisUrl } },
    channel: {
      namespaces: [
        { name: 'member', allow_user_limited_channels: true, ...kept },
        { name: 'broadcast', allow_subscribe_for_client: true, ...kept },
      ],
    },
  }
}
