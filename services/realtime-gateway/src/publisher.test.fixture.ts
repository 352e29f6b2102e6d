import { isCluster } from '@tidings/chassis'
import { historyKey } from '@tidings/protocol'
import { Cluster, Redis } from 'ioredis'

/** Publishes as notify-api does (PROTOCOL.md §3): history and publication in one step. */
export interface Publisher {
  /** Answers the position. `length` is the cap of the history. */
  publish(channel: string, body: string, length?: number): Promise<string>
  /** To the history alone: what a gateway missed. */
  append(channel: string, body: string): Promise<string>
  /** A payload as somebody else would send it. */
  send(channel: string, payload: string | Buffer): Promise<void>
  readonly redis: Redis | Cluster
  close(): void
}

const script = (publish: string) => `
local last = redis.call('LINDEX', KEYS[1], -1)
local epoch, offset
if last then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
if not epoch then
  local time = redis.call('TIME')
  epoch, offset = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 0
end
local position = epoch .. '-' .. string.format('%.0f', offset + 1)
redis.call('RPUSH', KEYS[1], position .. '\\n' .. ARGV[2])
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[3]), -1)
redis.call('EXPIRE', KEYS[1], 86400)
${publish}
return position`

export function openPublisher(url: string): Publisher {
  const cluster = isCluster(url)
  const redis = cluster ? new Cluster(url.split(',')) : new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null })
  redis.on('error', () => {}) // a test takes it away
  const publishing = script(`redis.call('${cluster ? 'SPUBLISH' : 'PUBLISH'}', ARGV[1], position .. '\\n' .. ARGV[2])`)
  const run = async (lua: string, channel: string, body: string, length: number) =>
    String(await redis.eval(lua, 1, historyKey(channel), channel, body, length))
  return {
    redis,
    publish: (channel, body, length = 100) => run(publishing, channel, body, length),
    append: (channel, body) => run(script(''), channel, body, 100),
    send: async (channel, payload) => void (await (cluster ? redis.spublish(channel, payload) : redis.publish(channel, payload))),
    close: () => redis.disconnect(),
  }
}
