import {
  createDatabase,
  type DatabaseServer,
  freeServicePort,
  type Galera,
  queryDatabase,
  type RedisCluster,
  type RedisServer,
  type ServiceProcess,
  startDatabase,
  startGalera,
  startRedis,
  startRedisCluster,
  startService,
  waitFor,
} from '@tidings/local'
import { Redis } from 'ioredis'
import { inject } from 'vitest'
import { Device } from './device.ts'
import { type Link, openLink } from './link.ts'
import { Load } from './load.ts'
import { isWhole, judge, type Stored, type Verdict } from './verdict.ts'

export interface WorldOptions {
  /** Of the database. */
  readonly name: string
  readonly memberCount?: number
  readonly postsPerSecond?: number
  /** Most channels are empty when the fault begins, and nothing is posted after it: a loss is not covered up by the next post. */
  readonly quiet?: boolean
  /** Where Redis keeps its append-only file; without it a restart finds nothing. */
  readonly redisDirectory?: string
  /** The first Redis gives epochs as if its clock were so far ahead. */
  readonly redisAheadMs?: number
  /** The gateways are a Redis user whose channels `permit` sets. */
  readonly acl?: boolean
  /** Three masters in place of one Redis. */
  readonly cluster?: boolean
  /**
   * `own`: a server of its own, whose users may not write while it is read-only. `galera`: two nodes, one for each notify-api.
   * `galera-of-one`: the second node has not joined yet, and both notify-apis are at the first one. By default a database of the server of the tests.
   */
  readonly database?: 'own' | 'galera' | 'galera-of-one'
  /** Root of the built repository that the services are started from; by default this one. */
  readonly build?: string
}

interface Servers {
  readonly redis: RedisServer
  readonly cluster: RedisCluster | undefined
  readonly galera: Galera | undefined
  readonly ownDatabase: DatabaseServer | undefined
  /** Of the database, at the server itself. */
  readonly databaseUrl: string
}

interface Links {
  readonly apiRedis: Link
  readonly gatewayRedis: Link
  /** Of each notify-api. */
  readonly databases: readonly [Link, Link]
  /** For producers: to the notify-api at the same place, or to the other one while that is not ready, like a load balancer. */
  readonly apis: readonly [Link, Link]
}

const deadlineMs = 30_000
const devicesPerMember = 2
const readinessEveryMs = 250
/** The Redis user of the gateways. */
const gatewayUser = 'gateway'
/** A database user that may not write to a read-only server. */
const limitedUser = 'limited'
const privileges = ['Select', 'Insert', 'Update', 'Delete', 'Create', 'Drop', 'Alter', 'Index', 'References', 'Lock_tables']

/** Two notify-apis and two gateways, each reaching Redis and the database over a link that can be broken, with devices and load. */
export class World {
  readonly servers: Servers
  readonly links: Links
  readonly apis: ServiceProcess[]
  readonly gateways: ServiceProcess[]
  readonly devices: Device[] = []
  readonly #options: WorldOptions
  readonly #readiness = { samples: 0, unready: 0 }
  /** Index of the notify-api to which each link for producers leads. */
  readonly #balanced = [0, 1]
  #faulty = false
  readonly #replicas: RedisServer[] = []
  #sampling: NodeJS.Timeout | undefined
  #load: Load | undefined

  static async open(options: WorldOptions): Promise<World> {
    const servers = await openServers(options)
    const { redis, cluster, galera } = servers
    const databaseUrls = galera ? galera.nodes.map(({ url }) => url) : [servers.databaseUrl, servers.databaseUrl]
    const [first, second] = databaseUrls.map((url) => Number(new URL(url).port)) as [number, number]
    const serverLinks = {
      apiRedis: await openLink(redis.port),
      gatewayRedis: await openLink(redis.port),
      databases: [await openLink(first), await openLink(options.database === 'galera-of-one' ? first : second)] as const,
    }
    const service = { deadlineMs, ...(options.build !== undefined && { build: options.build }) }
    const apis = await Promise.all(
      serverLinks.databases.map(async ({ port }) => {
        const mysqlUrl = new URL(servers.databaseUrl)
        mysqlUrl.port = String(port)
        if (options.database === 'own') mysqlUrl.username = limitedUser
        const REDIS_URL = cluster?.url ?? `redis://127.0.0.1:${serverLinks.apiRedis.port}`
        return startService('notify-api', { MYSQL_URL: mysqlUrl.href, REDIS_URL, ...(await ports()) }, service)
      }),
    )
    const apiLinks = await Promise.all(apis.map(({ port }) => openLink(port)))
    const forGateway = {
      REDIS_URL:
        cluster?.url ?? `redis://${options.acl ? `${gatewayUser}:secret@` : ''}127.0.0.1:${serverLinks.gatewayRedis.port}`,
      NOTIFY_API_URL: `http://127.0.0.1:${apiLinks[0]?.port}`,
      DRAIN_SECONDS: '2',
    }
    const gateways = await Promise.all(
      [1, 2].map(async () => startService('realtime-gateway', { ...forGateway, ...(await ports()) }, service)),
    )
    const links = { ...serverLinks, apis: apiLinks as [Link, Link] }
    return new World(options, { servers, links, apis, gateways })
  }

  private constructor(options: WorldOptions, parts: Pick<World, 'servers' | 'links' | 'apis' | 'gateways'>) {
    this.#options = options
    this.servers = parts.servers
    this.links = parts.links
    this.apis = parts.apis
    this.gateways = parts.gateways
  }

  get redis(): RedisServer {
    return this.servers.redis
  }

  get galera(): Galera {
    return this.servers.galera as Galera
  }

  get cluster(): RedisCluster {
    return this.servers.cluster as RedisCluster
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
    const onTask = (taskId: string, memberId: number) => {
      for (const device of this.devices) if (device.memberId === memberId) device.follow(taskId)
    }
    const load = new Load({
      members,
      postsPerSecond,
      apiUrls: () => this.apis.map(({ url }) => url),
      ...(!quiet && { mixed: { onTask, producerUrls: this.links.apis.map(({ port }) => `http://127.0.0.1:${port}`) } }),
    })
    this.#load = load
    await this.accepted(quiet ? 1 : memberCount)
    this.#sampling = setInterval(() => void this.#sample(), readinessEveryMs)
    this.#faulty = true
    await fault()
    this.#faulty = false
    const endedAt = performance.now()
    if (!quiet) await this.accepted(memberCount)
    await load.stop()
    clearInterval(this.#sampling)
    const { samples, unready } = this.#readiness
    const stored = await this.#stored()
    const recoveredMs = await this.#settled(stored, endedAt)
    return { ...judge(load, this.devices, stored), recoveredMs, unready: `${unready}/${samples}` }
  }

  /** Resolves when as many more posts have been accepted. */
  async accepted(count: number): Promise<void> {
    const load = this.#load as Load
    const target = load.accepted.length + count
    await waitFor(() => load.accepted.length >= target, { what: `${count} more accepted posts`, deadlineMs: 60_000 })
  }

  /** Resolves when a service has become ready, or not ready. */
  async readiness({ opsPort, name }: ServiceProcess, expected: boolean): Promise<void> {
    await waitFor(async () => (await isReady(opsPort)) === expected, { what: `${name}: ready is ${expected}`, deadlineMs })
  }

  /** Starts a service again on its ports. */
  async restart(services: ServiceProcess[], index: number): Promise<void> {
    services[index] = await (services[index] as ServiceProcess).again()
  }

  /** Replaces a service by one of another build: starts that, waits until it is ready, and only then stops the first. */
  async replace(services: ServiceProcess[], index: number, build: string): Promise<void> {
    const replaced = services[index] as ServiceProcess
    const successor = await replaced.successor(build)
    await this.readiness(successor, true)
    services[index] = successor
    for (const [at, link] of this.links.apis.entries()) {
      if (services === this.apis && this.#balanced[at] === index) link.lead(successor.port)
    }
    await replaced.stop()
  }

  /** Adds a replica of Redis, and waits until it has everything. */
  async addReplica(): Promise<RedisServer> {
    const replica = await startRedis()
    this.#replicas.push(replica)
    await this.configure('repl-diskless-sync-delay', '0')
    await asAdmin(replica.url, async (admin) => {
      await admin.replicaof('127.0.0.1', this.redis.port)
      await waitFor(async () => (await admin.info('replication')).includes('master_link_status:up'), {
        what: 'replication',
        deadlineMs,
      })
    })
    return replica
  }

  /** Makes the replica the master, to which all links lead from now on. */
  async promote(replica: RedisServer): Promise<void> {
    await asAdmin(replica.url, (admin) => admin.replicaof('NO', 'ONE'))
    for (const link of [this.links.apiRedis, this.links.gatewayRedis]) link.lead(replica.port)
  }

  /** Replaces the channels that Redis permits to the gateways: patterns as in an ACL, or all by default. */
  async permit(channels: readonly string[] = allChannels): Promise<void> {
    await asAdmin(this.redis.url, (admin) => permit(admin, channels))
  }

  /** Sets a parameter of Redis. */
  async configure(parameter: string, value: string): Promise<void> {
    await asAdmin(this.redis.url, (admin) => admin.config('SET', parameter, value))
  }

  /** Runs a statement at the database server, with all privileges. */
  async query(sql: string): Promise<void> {
    await queryDatabase(this.servers.databaseUrl, sql)
  }

  async close(): Promise<void> {
    clearInterval(this.#sampling)
    for (const device of this.devices) device.stop()
    await Promise.all([...this.apis, ...this.gateways].map((service) => service.kill()))
    const { apiRedis, gatewayRedis, databases, apis } = this.links
    for (const link of [apiRedis, gatewayRedis, ...databases, ...apis]) link.close()
    await Promise.all([this.redis, ...this.#replicas].map((server) => server.kill()))
    const { cluster, galera, ownDatabase } = this.servers
    await Promise.all([cluster?.close(), galera?.close(), ownDatabase?.stop()])
  }

  async #stored(): Promise<Stored[]> {
    const rows = await queryDatabase<{ id: number; memberId: number; text: string; isRead: number }>(
      this.servers.databaseUrl,
      'SELECT notification_id AS id, member_id AS memberId, message AS text, read_at IS NOT NULL AS isRead FROM notification',
    )
    return rows.map(({ id, memberId, text, isRead }) => ({
      notificationId: id,
      memberId: memberId === 0 ? undefined : memberId,
      text,
      read: isRead === 1,
    }))
  }

  /** Milliseconds from `since` until each device has, or was told of, all that was accepted; gives up after a deadline. */
  async #settled(stored: readonly Stored[], since: number): Promise<number> {
    const whole = () => isWhole(this.#load as Load, this.devices, stored)
    await waitFor(whole, { what: 'every device to be whole', deadlineMs: 20_000 }).catch(() => {}) // judged as lost
    return Math.round(performance.now() - since)
  }

  async #sample(): Promise<void> {
    const states = await Promise.all([...this.apis, ...this.gateways].map(({ opsPort }) => isReady(opsPort)))
    for (const [index, link] of this.links.apis.entries()) {
      const best = states[index] || !states[1 - index] ? index : 1 - index
      if (this.#balanced[index] !== best) link.lead((this.apis[best] as ServiceProcess).port)
      this.#balanced[index] = best
    }
    if (!this.#faulty) return
    this.#readiness.samples += states.length
    this.#readiness.unready += states.filter((ready) => !ready).length
  }
}

async function openServers({ name, database, redisDirectory, redisAheadMs, cluster }: WorldOptions): Promise<Servers> {
  const [redis, redisCluster, galera, ownDatabase] = await Promise.all([
    startRedis(redisDirectory === undefined ? {} : { directory: redisDirectory }),
    cluster ? startRedisCluster() : undefined,
    database === 'galera' || database === 'galera-of-one' ? startGalera() : undefined,
    database === 'own' ? startDatabase() : undefined,
  ])
  if (database === 'galera') await galera?.nodes[1].start()
  const serverUrl = galera?.nodes[0].url ?? ownDatabase?.url ?? inject('databaseServerUrl')
  const databaseUrl = await createDatabase(serverUrl, name)
  if (ownDatabase) {
    // Written to the table, because the administrator cannot GRANT.
    const names = privileges.map((privilege) => `${privilege}_priv`).join(', ')
    await queryDatabase(databaseUrl, `CREATE USER '${limitedUser}'@'%' IDENTIFIED BY 'tidings'`)
    await queryDatabase(
      databaseUrl,
      `INSERT INTO mysql.db (Host, Db, User, ${names}) VALUES ('%', '${name}', '${limitedUser}', ${privileges.map(() => "'Y'").join(', ')})`,
    )
    await queryDatabase(databaseUrl, 'FLUSH PRIVILEGES')
  }
  await asAdmin(redis.url, async (admin) => {
    await permit(admin, allChannels)
    // As if this process had begun to give positions then: its epochs are never older than its record.
    if (redisAheadMs !== undefined) {
      const [, runId] = /run_id:(\w+)/.exec(await admin.info('server')) ?? []
      await admin.set('tidings:run', `${runId} ${Date.now() + redisAheadMs} 7`)
    }
  })
  return { redis, cluster: redisCluster, galera, ownDatabase, databaseUrl }
}

const allChannels = ['&*']

async function permit(admin: Redis, channels: readonly string[]): Promise<void> {
  await admin.call('ACL', 'SETUSER', gatewayUser, 'on', '>secret', '~*', '+@all', 'resetchannels', ...channels)
}

async function asAdmin<T>(url: string, work: (admin: Redis) => Promise<T>): Promise<void> {
  const admin = new Redis(url)
  try {
    await work(admin)
  } finally {
    admin.disconnect()
  }
}

async function isReady(opsPort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${opsPort}/ready`, { signal: AbortSignal.timeout(1_000) })).ok
  } catch {
    return false
  }
}

async function ports(): Promise<NodeJS.ProcessEnv> {
  return { PORT: String(await freeServicePort()), OPS_PORT: String(await freeServicePort()) }
}
