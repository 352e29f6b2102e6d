import type { RedisConnection } from '@tidings/chassis'
import { Cluster } from 'ioredis'

/**
 * Lua functions that scripts share.
 *
 * `clock()` returns the time of Redis in ms.
 *
 * `writingSince(runId, key, keepSeconds)` returns the time in ms at which this Redis process took over from another one, or 0 when no
 * other process is known. `runId` is the `run_id` of the process, or nil to read it with INFO, which costs more than the rest of a script.
 * `key` records the `run_id` of the process that wrote last; it expires after `keepSeconds`, or never when that is 0.
 *
 * After a failover or a restart another process writes. It may lack publications that the previous one acknowledged, so that it would
 * use their positions a second time: histories that began before this time must not be continued. Where INFO is forbidden, a
 * change of the process is not detected.
 */
export const luaFunctions = `
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function writingSince(runId, key, keepSeconds)
  if not runId then
    local info = redis.pcall('INFO', 'server')
    runId = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
  end
  local record = redis.pcall('GET', key)
  local lastRunId, since
  if type(record) == 'string' then lastRunId, since = string.match(record, '^(%w*) (%d+)$') end
  if lastRunId ~= runId then
    since = lastRunId and clock() or 0
    redis.call('SET', key, string.format('%s %.0f', runId, since))
  end
  if keepSeconds > 0 then redis.call('EXPIRE', key, keepSeconds) end
  return tonumber(since)
end
`

/**
 * Returns a function that returns the `run_id` of the server at the other end of a connection, for `writingSince`. A connection does
 * not outlive that server process. The result is undefined while the `run_id` is not known, and always on a cluster, where a redirect
 * may lead a command to another node.
 */
export function runIdOf(redis: RedisConnection): () => string | undefined {
  let runId: string | undefined
  if (!(redis instanceof Cluster)) {
    redis.on('ready', () => {
      redis.info('server').then(
        (info) => (runId = /^run_id:(\w+)/m.exec(info)?.[1]),
        () => {}, // stays unknown
      )
    })
    redis.on('close', () => {
      runId = undefined
    })
  }
  return () => runId
}

/** Returns the key that records which Redis process wrote last: one for a whole server, one in the slot of each channel on a cluster. */
export function runIdKey(cluster: boolean, channel: string): string {
  return cluster ? `{${channel}}:run` : 'tidings:run'
}

/**
 * Appends publications to the histories of their channels and publishes them, atomically (PROTOCOL.md §3).
 *
 * KEYS: the history of each publication's channel, then the `run_id` key. ARGV[1]: JSON of {@link PublishCall}. ARGV[2…]: the bodies.
 *
 * The last publication of a history determines the next position, so no separate counter can disagree with the history. A history that
 * is missing, is not a list of publications, or was begun by another Redis process starts again with a new epoch.
 */
export const publishScript = (publish: 'PUBLISH' | 'SPUBLISH') => `${luaFunctions}
local call = cjson.decode(ARGV[1])
local count = #KEYS - 1
local maxLength = call.maxLength
local since = writingSince(call.runId, KEYS[count + 1], call.runIdSeconds)
for i = 1, count do
  local history = KEYS[i]
  local channel = string.match(history, '^{(.+)}:history$')
  local last = redis.pcall('LINDEX', history, -1)
  local epoch, offset
  if type(last) == 'string' then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
  if not epoch or tonumber(epoch) < since then
    redis.call('DEL', history)
    epoch, offset = string.format('%.0f', clock()), 0
  end
  local publication = string.format('%s-%.0f\\n', epoch, offset + 1) .. ARGV[i + 1]
  if redis.call('RPUSH', history, publication) > maxLength then redis.call('LTRIM', history, -maxLength, -1) end
  redis.call('EXPIRE', history, call.seconds)
  redis.call('${publish}', channel, publication)
end
`

/** Named arguments of {@link publishScript}. A field that is undefined is absent from the JSON, and nil in Lua. */
export interface PublishCall {
  /** Publications that each history keeps. */
  readonly maxLength: number
  /** Time after its last publication for which a history is kept. As text: Redis would format a number for each publication. */
  readonly seconds: string
  /** The `run_id` of this Redis process, when known. */
  readonly runId: string | undefined
  /** Time for which the `run_id` key is kept; 0: forever. */
  readonly runIdSeconds: number
}

/**
 * Returns how many connections are subscribed to each channel. KEYS: the history of one of the channels, which routes the call to its
 * node on a cluster. ARGV: the channels.
 */
export const listeningScript = (count: 'NUMSUB' | 'SHARDNUMSUB') => `
local counts = redis.call('PUBSUB', '${count}', unpack(ARGV))
local receivers = {}
for i = 1, #ARGV do receivers[i] = counts[2 * i] end
return receivers
`
