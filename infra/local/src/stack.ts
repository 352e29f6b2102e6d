import { createWriteStream, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type DatabaseServer, startDatabase } from './database.ts'
import { freeServicePort } from './free-port.ts'
import { installForStart } from './install.ts'
import type { Exit, OwnedProcess } from './owned-process.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { type ServiceName, type ServiceProcess, startService } from './service.ts'
import { developmentSecrets } from './token.ts'
import { keptVapidVariables, newVapidVariables } from './vapid.ts'
import { waitFor } from './wait-for.ts'

/** Runs a piece of work, then prints its duration and outcome on one line. */
export type Step = <T>(title: string, work: () => Promise<T>, outcome?: (result: T) => string) => Promise<T>

export interface StackOptions {
  /** Port of the edge. */
  readonly port: number
  /** Directory of the servers' data and of all logs. By default the data is temporary and logs are not written. */
  readonly directory?: string | undefined
  readonly step: Step
  /** Called when a process ends while the stack is not being stopped. */
  readonly onDeath: (part: OwnedProcess, exit: Exit) => void
}

/** One notify-api, two gateways and the edge, on the servers at MYSQL_URL and REDIS_URL, or on private ones where unset. */
export class Stack {
  readonly url: string
  readonly #options: StackOptions
  readonly #servers: (DatabaseServer | RedisServer)[] = []
  readonly #services: ServiceProcess[] = []
  #stopping = false

  constructor(options: StackOptions) {
    this.url = `http://localhost:${options.port}`
    this.#options = options
  }

  async start(): Promise<void> {
    const { step, port } = this.#options
    const { MYSQL_URL, REDIS_URL } = process.env
    await step('programs', async () => installForStart({ ownDatabase: !MYSQL_URL, ownRedis: !REDIS_URL }), String)
    const mysqlUrl =
      MYSQL_URL ||
      (
        await step(
          'database',
          () => this.#server('database', startDatabase),
          ({ url }) => url,
        )
      ).url
    const redisUrl =
      REDIS_URL ||
      (
        await step(
          'redis',
          () => this.#server('redis', startRedis),
          ({ url }) => url,
        )
      ).url

    const [apiPort, ...gatewayPorts] = [await freeServicePort(), await freeServicePort(), await freeServicePort()]
    const gatewayUrls = gatewayPorts.map((each) => `http://127.0.0.1:${each}`)
    const notifyApiUrl = `http://127.0.0.1:${apiPort}`
    const shared = {
      ...process.env,
      NODE_ENV: 'development',
      HOST: '127.0.0.1',
      OPS_PORT: '0',
      REDIS_URL: redisUrl,
      MEMBER_JWT_SECRET: developmentSecrets.member,
      MEMBER_JWT_PUBLIC_KEY: '',
      MEMBER_JWKS_URL: '',
      MEMBER_CLAIM: '',
      MEMBER_ISSUER: '',
      MEMBER_AUDIENCE: '',
      ALLOWED_ORIGINS: `http://localhost:${port},http://127.0.0.1:${port}`,
    }
    const forApi = {
      SERVICE_JWT_SECRET: developmentSecrets.service,
      SERVICE_JWT_PUBLIC_KEY: '',
      SERVICE_JWKS_URL: '',
      SERVICE_ISSUER: '',
      SERVICE_AUDIENCE: '',
      SERVICE_SCOPE_CLAIM: '',
    }
    await Promise.all([
      this.#service('notify-api', 'notify-api', {
        SHUTDOWN_DELAY_SECONDS: '0',
        ...shared,
        ...forApi,
        ...this.#vapid(),
        PORT: String(apiPort),
        MYSQL_URL: mysqlUrl,
      }),
      ...gatewayPorts.map((each, at) =>
        this.#service(`gateway-${at + 1}`, 'realtime-gateway', {
          DRAIN_SECONDS: '1',
          ...shared,
          PORT: String(each),
          NOTIFY_API_URL: notifyApiUrl,
        }),
      ),
      this.#service('edge', 'edge', {
        ...shared,
        ...forApi,
        PORT: String(port),
        GATEWAY_URLS: gatewayUrls.join(','),
        NOTIFY_API_URL: notifyApiUrl,
        EDGE_LOGIN: 'local',
      }),
    ])
  }

  /** Stops all in reverse, the gateways before the edge, so that their close code 1012 reaches the browsers. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true
    await stopAll(this.#services.filter(({ name }) => name.startsWith('gateway')))
    await stopAll(this.#services)
    await stopAll(this.#servers)
  }

  /** The last log lines of each service, for error messages. */
  get lastLogLines(): string {
    return this.#services.map(({ name, logs }) => [`last lines of ${name}:`, ...logs.slice(-5)].join('\n')).join('\n')
  }

  /** A key pair that is kept with the data; the environment may have another one. */
  #vapid(): NodeJS.ProcessEnv {
    if (process.env['VAPID_PUBLIC_KEY']) return {}
    const { directory } = this.#options
    return { ...(directory ? keptVapidVariables(join(directory, 'vapid.json')) : newVapidVariables()) }
  }

  async #server<T extends DatabaseServer | RedisServer>(
    name: string,
    open: (options: { directory?: string; onLine?: (line: string) => void }) => Promise<T>,
  ): Promise<T> {
    const { directory } = this.#options
    const server = await open({ ...(directory && { directory: join(directory, name) }), ...this.#log(name) })
    this.#servers.push(server)
    this.#watch(server.process)
    return server
  }

  async #service(name: string, service: ServiceName, env: NodeJS.ProcessEnv): Promise<void> {
    const start = async () => {
      const started = { ...(await startService(service, env, this.#log(name))), name }
      this.#services.push(started)
      this.#watch(started)
      const ready = started.opsPort > 0 ? `http://127.0.0.1:${started.opsPort}/ready` : `${started.url}/live`
      await waitFor(async () => (await fetch(ready)).ok, { deadlineMs: 30_000, what: `${name} to be ready (${ready})` })
      return started
    }
    await this.#options.step(name, start, ({ url, opsPort }) => url + (opsPort > 0 ? `, ops http://127.0.0.1:${opsPort}` : ''))
  }

  #watch(part: OwnedProcess): void {
    void part.exited.then((exit) => this.#stopping || this.#options.onDeath(part, exit))
  }

  #log(name: string): { onLine?: (line: string) => void } {
    const { directory } = this.#options
    if (!directory) return {}
    mkdirSync(directory, { recursive: true })
    const file = createWriteStream(join(directory, `${name}.log`))
    return { onLine: (line) => void file.write(`${line}\n`) }
  }
}

function stopAll(parts: readonly { stop: () => Promise<unknown> }[]): Promise<unknown> {
  return Promise.all(parts.map((part) => part.stop()))
}
