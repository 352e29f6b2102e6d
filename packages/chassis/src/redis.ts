import { once } from 'node:events'
import { Cluster, Redis, type RedisOptions } from 'ioredis'

/** Connection to a single Redis server, to the master of a Sentinel group, or to a Cluster. */
export type RedisConnection = Redis | Cluster

/** Options of a connection that differ between its users. */
export interface ConnectionOptions
  extends Pick<
    RedisOptions,
    | 'autoResubscribe'
    | 'enableAutoPipelining'
    | 'commandTimeout'
    | 'connectionName'
    | 'enableOfflineQueue'
    | 'maxRetriesPerRequest'
    | 'socketTimeout'
  > {
  /**
   * Lua scripts, which become methods of the connection. Without `numberOfKeys`, the first argument of each call is the number of
   * keys.
   */
  readonly scripts?: Record<string, { lua: string; numberOfKeys?: number; readOnly?: boolean }>
}

/** Longest time to establish a connection, and longest wait of {@link opened}. */
const connectTimeoutMs = 5_000
/** Without CLIENT SETINFO: Redis before 7.2 does not know it, and an ACL would have to permit it. */
const connecting = { connectTimeout: connectTimeoutMs, disableClientInfo: true }
/** The delay of the n-th reconnection is this, doubled n times, and at most {@link maxReconnectMs}. */
const reconnectBaseMs = 50
const maxReconnectMs = 1_000
/** Share of the delay that is random, so that gateways do not reconnect to a restarted Redis all at once. */
const reconnectJitterShare = 0.5
const defaultSentinelPort = 26_379
/** How often a Cluster connection reads which node serves which slot, besides after each error reply that names another node. */
const slotsRefreshMs = 5_000

/**
 * Connects to Redis in the background. The URL is one of these:
 * - `redis://host:port` or `rediss://host:port`: a single server.
 * - `redis+sentinel://[user:password@]host:port,host:port/master-name[?db=n]`: the master of a Sentinel group. With `rediss+sentinel://`,
 *   the Sentinels and the servers are reached through TLS.
 * - several single-server URLs, separated by commas: nodes of a Cluster.
 *
 * The connection reconnects without limit, at least once a second. Its errors are `error` events.
 *
 * @throws Error for a malformed URL of Sentinel.
 */
export function connectRedis(url: string, options: ConnectionOptions): RedisConnection {
  const common = { ...connecting, retryStrategy: reconnectDelayMs, reconnectOnError: isDemoted, ...options }
  if (isSentinel(url)) return new Redis({ ...common, ...sentinel(url) })
  const nodes = url.split(',').map((node) => node.trim())
  if (nodes.length === 1) return new Redis(url, common)
  const first = new URL(nodes[0] as string)
  const { enableOfflineQueue = true, scripts, ...perNode } = options
  return new Cluster(nodes, {
    clusterRetryStrategy: reconnectDelayMs,
    enableOfflineQueue,
    slotsRefreshInterval: slotsRefreshMs,
    ...(scripts ? { scripts } : {}),
    redisOptions: {
      ...perNode,
      ...(scripts ? { scripts } : {}),
      ...connecting,
      ...access(first),
    },
  })
}

/** Connects to one node of the Cluster that `url` names. Reconnects as {@link connectRedis} does. `address` is `host:port`. */
export function connectClusterNode(url: string, address: string, options: ConnectionOptions): Redis {
  const portAt = address.lastIndexOf(':')
  return new Redis({
    ...connecting,
    retryStrategy: reconnectDelayMs,
    ...options,
    host: address.slice(0, portAt),
    port: Number(address.slice(portAt + 1)),
    ...access(new URL(url.split(',')[0] as string)),
  })
}

/** Resolves when the connection is ready, when it has failed, or after five seconds. Never rejects. */
export async function opened(redis: RedisConnection): Promise<void> {
  if (redis.status !== 'ready') await once(redis, 'ready', { signal: AbortSignal.timeout(connectTimeoutMs) }).catch(() => {})
}

/** Returns whether the URL names a Redis Cluster. Publications on a Cluster are sharded (SPUBLISH, SSUBSCRIBE). */
export function isCluster(url: string): boolean {
  return url.includes(',') && !isSentinel(url)
}

function isSentinel(url: string): boolean {
  return /^rediss?\+sentinel:/.test(url)
}

/**
 * Returns whether to reconnect: a master that became a replica keeps its connections, and its address may now lead to the new
 * master.
 */
function isDemoted({ message }: Error): boolean {
  return message.startsWith('READONLY')
}

function reconnectDelayMs(attempt: number): number {
  const delayMs = Math.min(reconnectBaseMs * 2 ** attempt, maxReconnectMs)
  return delayMs * (1 - reconnectJitterShare * Math.random())
}

/** Returns the options of a URL of Sentinel. `URL` cannot parse several hosts, so they are replaced by one first. */
function sentinel(url: string) {
  const match = /^rediss?\+sentinel:\/\/(?:[^@/]*@)?([^/]+)\/([^?]+)/.exec(url)
  if (!match) throw new Error('REDIS_URL: redis+sentinel:// needs host:port,host:port/master-name')
  const sentinels = (match[1] as string).split(',').map((node) => {
    const { hostname, port } = new URL(`redis://${node}`)
    return { host: hostname, port: Number(port) || defaultSentinelPort }
  })
  const address = new URL(url.replace(match[1] as string, 'sentinel'))
  const tls = url.startsWith('rediss') ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}
  return { sentinels, name: match[2], db: Number(address.searchParams.get('db') ?? 0), ...credentials(address), ...tls }
}

/** Returns how the nodes of a Cluster are accessed: all in the same way, which the URL of the first one states. */
function access(node: URL) {
  return { ...credentials(node), ...(node.protocol === 'rediss:' ? { tls: {} } : {}) }
}

function credentials({ username, password }: URL) {
  return {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
  }
}
