import { join } from 'node:path'
import { localOrigin } from './origin.ts'
import { type OwnedProcess, spawnOwned } from './owned-process.ts'
import { developmentSecrets } from './token.ts'

export type ServiceName = 'notify-api' | 'realtime-gateway' | 'edge'

/** A service as in production: the built `dist/main.js` in its own process. Run `npm run build` first. */
export interface ServiceProcess extends OwnedProcess {
  readonly url: string
  readonly port: number
  /** 0 for the edge, which has no ops port. */
  readonly opsPort: number
  /** Starts another process with the same environment and ports. The caller has stopped this one. */
  again(): Promise<ServiceProcess>
  /** Starts another process with the same environment, but on other ports and from another build, beside this one. */
  successor(build: string): Promise<ServiceProcess>
}

export interface ServiceOptions {
  /** Root of the built repository; by default that of this file. */
  readonly build?: string
  readonly deadlineMs?: number
  /** Called with each line of the log. */
  readonly onLine?: (line: string) => void
}

/** A service that cannot start exits, which rejects at once: the deadline is for one that hangs. */
const startMs = 45_000
const root = join(import.meta.dirname, '../../..')
const folders: Readonly<Record<ServiceName, string>> = {
  'notify-api': 'services/notify-api',
  'realtime-gateway': 'services/realtime-gateway',
  edge: 'infra/edge',
}

/**
 * Starts a service and resolves once it logs that it is listening. Rejects with its last log lines when it exits before that or misses
 * the deadline. Its environment is PATH and HOME of this process, free loopback ports, the development secrets and {@link localOrigin},
 * overridden by `env`; nothing else is inherited.
 */
export async function startService(
  name: ServiceName,
  env: NodeJS.ProcessEnv,
  options: ServiceOptions = {},
): Promise<ServiceProcess> {
  const { build = root, deadlineMs = startMs, onLine } = options
  const owned = spawnOwned({
    name,
    command: process.execPath,
    args: ['--enable-source-maps', join(build, folders[name], 'dist/main.js')],
    cwd: build,
    env: { ...defaults(), ...env },
    onLine,
  })
  try {
    const { port, opsPort } = await owned.firstLine(listening, deadlineMs)
    const samePorts = { ...env, PORT: String(port), OPS_PORT: String(opsPort) }
    const again = () => startService(name, samePorts, options)
    const successor = (other: string) => startService(name, { ...env, PORT: '0', OPS_PORT: '0' }, { ...options, build: other })
    return { ...owned, url: `http://127.0.0.1:${port}`, port, opsPort, again, successor }
  } catch (error) {
    await owned.kill()
    throw error
  }
}

function defaults(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    HOST: '127.0.0.1',
    PORT: '0',
    OPS_PORT: '0',
    SHUTDOWN_DELAY_SECONDS: '0',
    MEMBER_JWT_SECRET: developmentSecrets.member,
    SERVICE_JWT_SECRET: developmentSecrets.service,
    ALLOWED_ORIGINS: localOrigin,
  }
}

function listening(line: string): { port: number; opsPort: number } | undefined {
  if (!line.startsWith('{') || !line.includes('listening')) return undefined
  const { msg, port, opsPort = 0 } = JSON.parse(line) as { msg?: unknown; port?: unknown; opsPort?: unknown }
  if (typeof msg !== 'string' || !msg.includes('listening')) return undefined
  return typeof port === 'number' && typeof opsPort === 'number' ? { port, opsPort } : undefined
}
