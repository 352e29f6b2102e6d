import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { type Exit, type OwnedProcess, spawnOwned } from './owned-process.ts'
import { findProgram } from './program.ts'

/** A private Redis (or Valkey) on a loopback port. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  /** The current process: another one after `restart`. */
  readonly process: OwnedProcess
  stop(): Promise<Exit>
  /** SIGKILL: connections break. */
  kill(): Promise<Exit>
  /** SIGSTOP: connections stay open and get no reply. */
  pause(): void
  resume(): void
  /** Kills the process if it runs and starts another one on the same port; empty without `directory`. */
  restart(): Promise<void>
}

export interface RedisOptions {
  readonly port?: number
  /** Directory that keeps the data between runs; without it nothing is kept. */
  readonly directory?: string
  readonly onLine?: (line: string) => void
  /** Further command line options of the server. */
  readonly flags?: readonly string[]
}

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  let port = options.port ?? (await freePort())
  let server = await launch({ ...options, port }).catch(async (error: unknown) => {
    if (options.port !== undefined || !/Address already in use/i.test(String(error))) throw error
    port = await freePort()
    return launch({ ...options, port })
  })
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get process() {
      return server
    },
    stop: () => server.stop(),
    kill: () => server.kill(),
    pause: () => server.pause(),
    resume: () => server.resume(),
    restart: async () => {
      await server.kill()
      server = await launch({ ...options, port })
    },
  }
}

async function launch({ port, directory, onLine, flags = [] }: RedisOptions & { port: number }): Promise<OwnedProcess> {
  const program = findProgram('redis-server', 'valkey-server')
  if (!program) throw new Error('neither redis-server nor valkey-server is installed: npm test and npm start install one')
  if (directory) mkdirSync(directory, { recursive: true })
  const temporary = directory ? undefined : mkdtempSync(join(tmpdir(), 'tidings-redis-'))
  const server = spawnOwned({
    name: 'redis',
    command: program,
    args: `--port ${port} --bind 127.0.0.1 --appendonly ${directory ? 'yes' : 'no'}`
      .split(' ')
      .concat('--save', '', '--dir', directory ?? temporary ?? '', flags),
    temporaryDirectory: temporary,
    onLine,
  })
  if (temporary) void server.exited.then(() => rmSync(temporary, { recursive: true, force: true }))
  await server.firstLine((line) => (/ready to accept connections/i.test(line) ? true : undefined), 30_000)
  return server
}
