import type { Log } from '@tidings/chassis'

/** Shortest time between two lines about one server. */
const quietMs = 60_000
/** Most servers that are remembered: gateways come and go. */
const maxServers = 100

interface Failures {
  readonly loggedAt: number
  /** Failures since that line. */
  readonly unlogged: number
}

/** Logs that servers fail, in one short line: at once, and while it lasts once a minute with the number of failures since. */
export class UpstreamFailures {
  readonly #log: Log
  readonly #servers = new Map<string, Failures>()

  constructor(log: Log) {
    this.#log = log
  }

  failed(server: string, error: unknown, requestId: string): void {
    const now = performance.now()
    const { loggedAt, unlogged } = this.#servers.get(server) ?? { loggedAt: Number.NEGATIVE_INFINITY, unlogged: 0 }
    if (now - loggedAt < quietMs) {
      this.#servers.set(server, { loggedAt, unlogged: unlogged + 1 })
      return
    }
    this.#log.warn({ server, reason: reasonOf(error), failures: unlogged + 1, requestId }, 'a server does not respond')
    this.#servers.delete(server)
    this.#servers.set(server, { loggedAt: now, unlogged: 0 })
    if (this.#servers.size > maxServers) this.#servers.delete(this.#servers.keys().next().value as string)
  }
}

/** Returns the message of the first cause, on one line. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  return cause === undefined ? message : reasonOf(cause)
}
