import { join } from 'node:path'
import {
  createDatabase,
  type DatabaseServer,
  developmentSecrets,
  freeServicePort,
  localOrigin,
  type OwnedProcess,
  type RedisServer,
  spawnOwned,
} from '@tidings/local'
import type { Endpoint } from '../load/wire.ts'
import { pinServer } from '../measure/pin.ts'

/** One of the systems that are compared, started and waiting for load. */
export interface System {
  readonly name: SystemName
  readonly endpoint: Endpoint
  /** The process that holds the connections of members. */
  readonly gateway: OwnedProcess
  /** The gateway and what else of the system takes part in a post, without database and Redis. */
  readonly services: readonly OwnedProcess[]
  readonly redis: RedisServer
  /** Origin that takes `POST /notification/send` with a service token. */
  readonly postUrl: string
  /**
   * Publishes JSON to one member or to all without the API of the system, as another instance of it would. Resolves when it is
   * published.
   */
  readonly publish: (target: number | 'all', body: string) => Promise<unknown>
  stop(): Promise<void>
}

export type SystemName = 'Tidings' | 'floor' | 'naive ws.send' | 'Socket.IO' | 'Centrifugo' | 'Spring'

/** What a system is measured against. */
export const baseline: SystemName = 'floor'

/** Returns whether a system differs from the floor in more than how it writes frames. */
export function differsFromFloor({ name }: { readonly name: SystemName }): boolean {
  return name !== 'naive ws.send'
}

export interface SystemKind {
  readonly name: SystemName
  /** Name and version of what is compared, for the report. */
  readonly version: string
  /** Fetches and builds what is missing. */
  prepare?(): Promise<void>
  start(environment: Environment): Promise<System>
}

export interface Environment {
  readonly database: DatabaseServer
}

export const secrets = {
  MEMBER_JWT_SECRET: developmentSecrets.member,
  SERVICE_JWT_SECRET: developmentSecrets.service,
} as const

const startMs = 60_000
let databaseCount = 0

/** Creates a database for one system. */
export function newDatabase({ database }: Environment): Promise<string> {
  return createDatabase(database.url, `bench_${databaseCount++}`)
}

/** Starts a compiled program of `src/server` on a free port. */
export async function startProgram(name: string, env: NodeJS.ProcessEnv): Promise<{ process: OwnedProcess; port: number }> {
  const port = await freeServicePort()
  const args = ['--enable-source-maps', join(import.meta.dirname, `../server/${name}.js`)]
  const started = await startServer(
    name,
    process.execPath,
    args,
    { OPS_PORT: '0', ...env, PORT: String(port) },
    /"msg":"listening"/,
  )
  return { process: started, port }
}

/** Starts a server on the core of the compared servers, and resolves when it writes a line that `listening` matches. */
export async function startServer(
  name: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  listening: RegExp,
): Promise<OwnedProcess> {
  const inherited = { PATH: process.env['PATH'], HOME: process.env['HOME'], HOST: '127.0.0.1', ALLOWED_ORIGINS: localOrigin }
  const started = spawnOwned({ name, command, args, env: { ...inherited, ...secrets, ...env } })
  pinServer(started.pid)
  await started.firstLine((line) => listening.test(line) || undefined, startMs)
  return started
}

export async function stopAll(...parts: readonly { stop(): Promise<unknown> }[]): Promise<void> {
  await Promise.all(parts.map((part) => part.stop()))
}
