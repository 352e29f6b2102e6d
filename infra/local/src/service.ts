import { join } from 'node:path'
import { localOrigin } from './origin.ts'
import { type OwnedProcess, spawnOwned } from './owned-process.ts'
import { developmentSecrets } from './token.ts'

export type ServiceName = 'notify-api' | 'realtime-gateway' | 'edge'

/** A service as it runs in production: the built `dist/main.js` in a process of its own. Run `npm run build` first. */
export interface ServiceProcess extends OwnedProcess {
  readonly url: string
  readonly port: number
  /** 0 where there is none: the edge has no ops port. */
  readonly opsPort: number
  /** Starts another one with the same environment, on the same ports. The caller has ended this one. */
  again(): Promise<ServiceProcess>
}

export interface ServiceOptions {
  readonly deadlineMs?: number
  /** Told each line it logs. */
  readonly onLine?: (line: string) => void
}

/** One that cannot start ends by itself, and is heard of then: only one that hangs has to be given up. */
const startMs = 45_000
const root = join(import.meta.dirname, '../../..')
const homes: Readonly<Record<ServiceName, string>> = {
  'notify-api': 'services/notify-api',
  'realtime-gateway': 'services/realtime-gateway',
  edge: 'infra/edge',
}

/**
 * Resolves once the service logs that it is listening; rejects with its last log lines when it ends before that or misses the
 * deadline. It gets PATH and HOME of this process, free loopback ports, the development secrets and {@link localOrigin}, all of which
 * `env` may replace; nothing else is inherited.
 */
export async function startService(
  name: ServiceName,
  env: NodeJS.ProcessEnv,
  { deadlineMs = startMs, onLine }: ServiceOptions = {},
): Promise<ServiceProcess> {
  const owned = spawnOwned({
    name,
    command: process.execPath,
    args: ['--enable-source-maps', join(root, homes[name], 'dist/main.js')],
    cwd: root,
    env: { ...defaults(), ...env },
    onLine,
  })
  try {
    const { port, opsPort } = await owned.firstLine(listening, deadlineMs)
    const samePorts = { ...env, PORT: String(port), OPS_PORT: String(opsPort) }
    const again = () => startService(name, samePorts, { deadlineMs, ...(onLine && { onLine }) })
    return { ...owned, url: `http://127.0.0.1:${port}`, port, opsPort, again }
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
