import {
  createDatabase,
  freeServicePort,
  type RedisServer,
  type ServiceProcess,
  startRedis,
  startService,
  waitFor,
} from '@tidings/local'
import { Redis } from 'ioredis'
import { inject } from 'vitest'
import { broadcastTopic, Device, notificationQueue } from './device.ts'
import { type Link, openLink } from './link.ts'
import { Load } from './load.ts'
import { judge, missing, type Verdict } from './verdict.ts'

export interface WorldOptions {
  /** Number of the run, for the name of its database. */
  readonly run: number
  readonly memberCount?: number
  readonly postsPerSecond?: number
  /** Most channels are empty when the fault begins, and nothing is posted after it: a loss is not covered up by the next post. */
  readonly quiet?: boolean
  /** Where Redis keeps its append-only file; without it a restart finds nothing. */
  readonly redisDirectory?: string
}

const deadlineMs = 30_000
const devicesPerMember = 2
const readinessEveryMs = 250

/** Two notify-apis and two gateways, each reaching Redis and the database over a link that can be broken, with devices and load. */
export class World {
  readonly redis: RedisServer
  readonly apis: ServiceProcess[]
  readonly gateways: ServiceProcess[]
  readonly links: { readonly apiRedis: Link; readonly gatewayRedis: Link; readonly database: Link }
  readonly devices: Device[] = []
  readonly databaseUrl: string
  readonly #options: WorldOptions
  readonly #readiness = { samples: 0, unready: 0 }
  readonly #replicas: RedisServer[] = []
  #sampling: NodeJS.Timeout | undefined
  #load: Load | undefined

  static async open(options: WorldOptions): Promise<World> {
    const [databaseUrl, redis] = await Promise.all([
      createDatabase(inject('databaseServerUrl'), `chaos_${options.run}`),
      startRedis(options.redisDirectory === undefined ? {} : { directory: options.redisDirectory }),
    ])
    const databasePort = Number(new URL(databaseUrl).port)
    const [apiRedis, gatewayRedis, database] = await Promise.all([
      openLink(redis.port),
      openLink(redis.port),
      openLink(databasePort),
    ])
    const linkedDatabase = new URL(databaseUrl)
    linkedDatabase.port = String(database.port)
    const forApi = { MYSQL_URL: linkedDatabase.href, REDIS_URL: `redis://127.0.0.1:${apiRedis.port}` }
    const apis = await Promise.all(
      [1, 2].map(async () => startService('notify-api', { ...forApi, ...(await ports()) }, { deadlineMs })),
    )
    const forGateway = {
      REDIS_URL: `redis://127.0.0.1:${gatewayRedis.port}`,
      NOTIFY_API_URL: (apis[0] as ServiceProcess).url,
      DRAIN_SECONDS: '2',
    }
    const gateways = await Promise.all(
      [1, 2].map(async () => startService('realtime-gateway', { ...forGateway, ...(await ports()) }, { deadlineMs })),
    )
    return new World(options, { redis, apis, gateways, databaseUrl, links: { apiRedis, gatewayRedis, database } })
  }

  private constructor(options: WorldOptions, parts: Pick<World, 'redis' | 'apis' | 'gateways' | 'links' | 'databaseUrl'>) {
    this.#options = options
    this.redis = parts.redis
    this.apis = parts.apis
    this.gateways = parts.gateways
    this.links = parts.links
    this.databaseUrl = parts.databaseUrl
  }

  /** Connects the devices, then runs the fault under load and judges. */
  async run(fault: () => Promise<void>): Promise<Verdict & { recoveredMs: number; unready: string }> {
    const { quiet = false, memberCount = quiet ? 60 : 20, postsPerSecond = quiet ? 12 : 60 } = this.#options
    const members = Array.from({ length: memberCount }, (_, index) => index + 1)
    for (const memberId of members) {
      for (let index = 0; index < devicesPerMember; index++) {
        this.devices.push(new Device(memberId, memberId + index, () => this.gateways.map(({ url }) => url)))
      }
    }
    await waitFor(() => this.devices.every(({ subscribed }) => subscribed), { what: 'all devices to be subscribed', deadlineMs })
    const load = new Load({ members, postsPerSecond, apiUrls: () => this.apis.map(({ url }) => url) })
    this.#load = load
    await this.accepted(quiet ? 1 : memberCount)
    this.#sampling = setInterval(() => void this.#sample(), readinessEveryMs)
    await fault()
    clearInterval(this.#sampling)
    const endedAt = performance.now()
    if (!quiet) await this.accepted(memberCount)
    await load.stop()
    const { samples, unready } = this.#readiness
    const recoveredMs = await this.#settled(endedAt)
    return { ...judge(load, this.devices), recoveredMs, unready: `${unready}/${samples}` }
  }

  /** Resolves when as many more posts have been accepted. */
  async accepted(count: number): Promise<void> {
    const load = this.#load as Load
    const target = load.accepted.length + count
    await waitFor(() => load.accepted.length >= target, { what: `${count} more accepted posts`, deadlineMs: 60_000 })
  }

  /** Starts a service again on its ports. */
  async restart(services: ServiceProcess[], index: number): Promise<void> {
    services[index] = await (services[index] as ServiceProcess).again()
  }

  /** Adds a replica of Redis, and waits until it has everything. */
  async addReplica(): Promise<RedisServer> {
    const replica = await startRedis()
    this.#replicas.push(replica)
    const admin = new Redis(replica.url)
    try {
      await admin.replicaof('127.0.0.1', this.redis.port)
      await waitFor(async () => (await admin.info('replication')).includes('master_link_status:up'), {
        what: 'replication',
        deadlineMs,
      })
    } finally {
      admin.disconnect()
    }
    return replica
  }

  /** Makes the replica the master, to which all links lead from now on. */
  async promote(replica: RedisServer): Promise<void> {
    const admin = new Redis(replica.url)
    await admin.replicaof('NO', 'ONE')
    admin.disconnect()
    for (const link of [this.links.apiRedis, this.links.gatewayRedis]) link.lead(replica.port)
  }

  async close(): Promise<void> {
    for (const device of this.devices) device.stop()
    await Promise.all([...this.apis, ...this.gateways].map((service) => service.kill()))
    for (const link of Object.values(this.links)) link.close()
    await Promise.all([this.redis, ...this.#replicas].map((server) => server.kill()))
  }

  /** Milliseconds from `since` until each device has, or was told of, every accepted post; gives up after a deadline. */
  async #settled(since: number): Promise<number> {
    const load = this.#load as Load
    const posts = (memberId: number | undefined) => load.accepted.filter((post) => post.memberId === memberId)
    const whole = () =>
      this.devices.every((device) => {
        return (
          missing(device, notificationQueue, posts(device.memberId)).length === 0 &&
          missing(device, broadcastTopic, posts(undefined)).length === 0
        )
      })
    await waitFor(whole, { what: 'every device to be whole', deadlineMs: 20_000 }).catch(() => {}) // judged as lost
    return Math.round(performance.now() - since)
  }

  async #sample(): Promise<void> {
    const states = await Promise.all(
      [...this.apis, ...this.gateways].map(async ({ opsPort }) => {
        try {
          return (await fetch(`http://127.0.0.1:${opsPort}/ready`, { signal: AbortSignal.timeout(1_000) })).ok
        } catch {
          return false
        }
      }),
    )
    this.#readiness.samples += states.length
    this.#readiness.unready += states.filter((ready) => !ready).length
  }
}

async function ports(): Promise<NodeJS.ProcessEnv> {
  return { PORT: String(await freeServicePort()), OPS_PORT: String(await freeServicePort()) }
}
