import { once } from 'node:events'
import { Cluster, Redis, type RedisOptions } from 'ioredis'

export type RedisConnection = Redis | Cluster

/** What a service decides about a connection; the rest is the same for all. */
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
  /** Lua scripts, called by name on the connection; without `numberOfKeys` each call gives it first. */
  readonly scripts?: Record<string, { lua: string; numberOfKeys?: number; readOnly?: boolean }>
  /** On a Cluster: subscribe with SSUBSCRIBE. */
  readonly shardedSubscribers?: boolean
}

const connectTimeoutMs = 5_000
const maxReconnectMs = 1_000

/**
 * Connects to `redis://` or `rediss://`, to `redis+sentinel://[user:password@]host:port,host:port/master-name[?db=n]`, or to a Cluster
 * when several comma-separated nodes are named. Reconnects for ever, at least once a second. Errors of the connection arrive as
 * `error` events.
 */
export function connectRedis(url: string, { shardedSubscribers, ...options }: ConnectionOptions): RedisConnection {
  const common = { connectTimeout: connectTimeoutMs, retryStrategy: reconnectDelayMs, reconnectOnError: isDemoted, ...options }
  if (url.startsWith('redis+sentinel://')) return new Redis({ ...common, ...sentinel(url) })
  const nodes = url.split(',').map((node) => node.trim())
  if (nodes.length === 1) return new Redis(url, common)
  const first = new URL(nodes[0] as string)
  const { enableOfflineQueue = true, scripts, ...perNode } = options
  return new Cluster(nodes, {
    clusterRetryStrategy: reconnectDelayMs,
    enableOfflineQueue,
    ...(shardedSubscribers ? { shardedSubscribers } : {}),
    ...(scripts ? { scripts } : {}),
    redisOptions: {
      ...perNode,
      connectTimeout: connectTimeoutMs,
      ...credentials(first),
      ...(first.protocol === 'rediss:' ? { tls: {} } : {}),
    },
  })
}

/** Resolves when the connection can be used, or when the first attempt has failed or taken too long. */
export async function opened(redis: RedisConnection): Promise<void> {
  if (redis.status !== 'ready') await once(redis, 'ready', { signal: AbortSignal.timeout(connectTimeoutMs) }).catch(() => {})
}

/** True when the URL names a Redis Cluster, where publications are sharded (SPUBLISH, SSUBSCRIBE). */
export function isCluster(url: string): boolean {
  return url.includes(',') && !url.startsWith('redis+sentinel://')
}

// A master that was made a replica keeps its connections: the same address, asked anew, may lead to its successor.
function isDemoted({ message }: Error): boolean {
  return message.startsWith('READONLY')
}

// With jitter, so that a fleet of gateways does not come back to a restarted Redis in one instant.
function reconnectDelayMs(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 10), maxReconnectMs) * (0.5 + Math.random() / 2)
}

function sentinel(url: string) {
  const match = /^redis\+sentinel:\/\/(?:[^@/]*@)?([^/]+)\/([^?]+)/.exec(url)
  if (!match) throw new Error('REDIS_URL: redis+sentinel:// needs host:port,host:port/master-name')
  const sentinels = (match[1] as string).split(',').map((node) => {
    const { hostname, port } = new URL(`redis://${node}`)
    return { host: hostname, port: Number(port) || 26_379 }
  })
  const address = new URL(url.replace(match[1] as string, 'sentinel'))
  return { sentinels, name: match[2], db: Number(address.searchParams.get('db') ?? 0), ...credentials(address) }
}

function credentials({ username, password }: URL) {
  return {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
  }
}
