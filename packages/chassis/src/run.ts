import type { AddressInfo } from 'node:net'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { StartError } from './config.ts'
import type { Log } from './log.ts'

/** A started service. */
export interface RunningService {
  readonly log: Log
  /** Longest time that `close` may take, in ms. After it the process exits with code 1. */
  readonly closeTimeoutMs: number
  /** Closes everything that was opened, in reverse order. */
  close(): Promise<void>
}

/**
 * Starts a service, and closes it on SIGTERM, SIGINT or an uncaught error. The process then exits with code 0 after a signal, and
 * with 1 after an error. A second signal ends the process immediately. If `start` rejects, its error is printed to stderr and the
 * process exits with code 1.
 */
export async function run(start: () => Promise<RunningService>): Promise<void> {
  try {
    const service = await start()
    const { log } = service
    closeWithGrace({ delay: service.closeTimeoutMs, logger: false }, async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'stopping after an error')
      else log.info({ signal }, 'stopping')
      try {
        await service.close()
        log.info('stopped')
      } finally {
        await new Promise<void>((resolve) => log.flush(() => resolve()))
      }
    })
  } catch (error) {
    printError(error)
    process.exit(1)
  }
}

/** Runs a piece of work, after which the process exits with code 0, or with 1 and its error on stderr. */
export async function runOnce(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    printError(error)
    process.exitCode = 1
  }
}

function printError(error: unknown): void {
  process.stderr.write(`${error instanceof StartError ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
}

/** Longest queue of connections that the process has not accepted yet. After an outage thousands of clients connect at once. */
const listenBacklog = 4_096

interface ListenOptions {
  readonly host: string
  readonly app: FastifyInstance
  readonly port: number
  readonly ops: FastifyInstance
  /** The same as `host` by default. */
  readonly opsHost?: string
  readonly opsPort: number
}

/**
 * Listens on both ports of a service, ops port first unless it is open already, and logs `listening` with the ports. Operators and tests wait for that
 * line.
 */
export async function listen(log: Log, { host, app, port, ops, opsHost = host, opsPort }: ListenOptions): Promise<void> {
  if (!ops.server.listening) await ops.listen({ host: opsHost, port: opsPort })
  await app.listen({ host, port, backlog: listenBacklog })
  log.info({ host, port: portOf(app), opsHost, opsPort: portOf(ops) }, 'listening')
}

function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}
