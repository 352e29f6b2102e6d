import type { AddressInfo } from 'node:net'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { ConfigError } from './config.ts'
import type { Log } from './log.ts'

/** A started service: `close` ends what was opened, in reverse. */
export interface RunningService {
  readonly log: Log
  /** Longest time `close` may take, in ms; past it the process ends with exit code 1. */
  readonly closeTimeoutMs: number
  close(): Promise<void>
}

/**
 * Runs a service until SIGTERM or SIGINT, or an error nobody caught, then closes it. Exit code 0 after a signal, 1 after an
 * error. A second signal ends the process at once.
 */
export async function run(start: () => Promise<RunningService>): Promise<void> {
  try {
    const service = await start()
    const { log } = service
    closeWithGrace({ delay: service.closeTimeoutMs, logger: false }, async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'stopping after an error')
      else log.info({ signal }, 'stopping')
      await service.close()
      log.info('stopped')
    })
  } catch (error) {
    process.stderr.write(
      `${error instanceof ConfigError ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    )
    process.exit(1)
  }
}

/** Opens both ports of a service and says so in the line that operators and tests wait for. */
export async function listen(
  log: Log,
  { host, app, port, ops, opsPort }: { host: string; app: FastifyInstance; port: number; ops: FastifyInstance; opsPort: number },
): Promise<void> {
  await ops.listen({ host, port: opsPort })
  await app.listen({ host, port, backlog: 4_096 })
  log.info({ host, port: portOf(app), opsPort: portOf(ops) }, 'listening')
}

function portOf(app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}
