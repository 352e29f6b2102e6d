import type { RedisConnection } from '@tidings/chassis'
import { Cluster } from 'ioredis'

/**
 * `clock()`: ms. `since(run, note, keep)`: the ms since which this Redis writes, as noted in the key `note` under its `run_id`; the note
 * is kept for `keep` seconds, 0 for ever. `run`: the `run_id`, if the caller knows it; empty to ask INFO, which takes longer than all the
 * rest. After a failover or a restart it is another one that writes: it may lack what the last one acknowledged, and the positions of
 * histories that began before would be given twice. 0 when there has been no other, and where INFO is forbidden.
 */
export const sinceFunction = `
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function since(run, note, keep)
  if run == '' then
    local info = redis.pcall('INFO', 'server')
    run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
  end
  local noted = redis.pcall('GET', note)
  local last, at
  if type(noted) == 'string' then last, at = string.match(noted, '^(%w*) (%d+)$') end
  if last ~= run then
    at = last and clock() or 0
    redis.call('SET', note, string.format('%s %.0f', run, at))
  end
  if tonumber(keep) > 0 then redis.call('EXPIRE', note, keep) end
  return tonumber(at)
end
`

/**
 * Returns a function that returns the `run_id` of the connected server, for `since`. It is read once per connection, which does not
 * outlive the server process. It is empty while unknown, and always on a cluster, where a command may reach any node.
 */
export function runIdOf(redis: RedisConnection): () => string {
  let runId = ''
  if (!(redis instanceof Cluster)) {
    redis.on('ready', () => {
      redis.info('server').then(
        (info) => (runId = /^run_id:(\w+)/m.exec(info)?.[1] ?? ''),
        () => {}, // stays unknown
      )
    })
    redis.on('close', () => {
      runId = ''
    })
  }
  return () => runId
}

/** Returns the key that records which Redis process (`run_id`) wrote last: one per server; on a cluster one per channel, in its slot. */
export function runNote(cluster: boolean, channel: string): string {
  return cluster ? `{${channel}}:run` : 'tidings:run'
}

/**
 * Appends publications to their channels' histories and publishes them, atomically (PROTOCOL.md §3).
 * KEYS: the history of each, then the note of who writes. ARGV: longest history of these channels, and seconds it outlives its last
 * publication; the `run_id` of this Redis, or empty; seconds to keep the note, 0 for ever; then the body of each.
 *
 * The last publication says which position is next, so there is no counter that could part from the history: a history that is gone,
 * is something else than a list, or was begun by another Redis, begins anew with a new epoch.
 */
export const publishScript = (publish: 'PUBLISH' | 'SPUBLISH') => `${sinceFunction}
local count = #KEYS - 1
local length, seconds = tonumber(ARGV[1]), ARGV[2]
local begun = since(ARGV[3], KEYS[count + 1], ARGV[4])
for i = 1, count do
  local history = KEYS[i]
  local channel = string.match(history, '^{(.+)}:history$')
  local last = redis.pcall('LINDEX', history, -1)
  local epoch, offset
  if type(last) == 'string' then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
  if not epoch or tonumber(epoch) < begun then
    redis.call('DEL', history)
    epoch, offset = string.format('%.0f', clock()), 0
  end
  local publication = string.format('%s-%.0f\\n', epoch, offset + 1) .. ARGV[i + 4]
  if redis.call('RPUSH', history, publication) > length then redis.call('LTRIM', history, -length, -1) end
  redis.call('EXPIRE', history, seconds)
  redis.call('${publish}', channel, publication)
end
`

/**
 * Answers how many connections listen on each channel. KEYS: the history of one of them, which leads to its node on a cluster. ARGV: the
 * channels.
 */
export const listeningScript = (count: 'NUMSUB' | 'SHARDNUMSUB') => `
local told = redis.call('PUBSUB', '${count}', unpack(ARGV))
local receivers = {}
for i = 1, #ARGV do receivers[i] = told[2 * i] end
return receivers
`
