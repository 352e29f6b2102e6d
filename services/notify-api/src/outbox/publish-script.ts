import { runFunctions } from '@tidings/chassis'

/**
 * Appends publications to the histories of their channels and publishes them, atomically (PROTOCOL.md §3).
 *
 * KEYS: the history of each publication's channel, then the record of the run of Redis. ARGV[1]: JSON of {@link PublishCall}. ARGV[2…]: the bodies.
 *
 * The last publication of a history determines the next position, so no separate counter can disagree with the history. A history that
 * is missing, is not a list of publications, or was begun by an earlier run of Redis starts again with a new epoch.
 */
export const publishScript = (publish: 'PUBLISH' | 'SPUBLISH') => `${runFunctions}
local call = cjson.decode(ARGV[1])
local count = #KEYS - 1
local maxLength = call.maxLength
local positions = {}
openRun(call.runId, KEYS[count + 1], call.runSeconds)
for i = 1, count do
  local history = KEYS[i]
  local channel = string.match(history, '^{(.+)}:history$')
  local last = redis.pcall('LINDEX', history, -1)
  local epoch, offset
  if type(last) == 'string' then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
  if not epoch or not ofRun(epoch) then
    redis.call('DEL', history)
    epoch, offset = newEpoch(), 0
  end
  positions[i] = string.format('%s-%.0f', epoch, offset + 1)
  local publication = positions[i] .. '\\n' .. ARGV[i + 1]
  if redis.call('RPUSH', history, publication) > maxLength then redis.call('LTRIM', history, -maxLength, -1) end
  redis.call('EXPIRE', history, call.seconds)
  redis.call('${publish}', channel, publication)
end
return positions
`

/** Named arguments of {@link publishScript}. A field that is undefined is absent from the JSON, and nil in Lua. */
export interface PublishCall {
  /** Publications that each history keeps. */
  readonly maxLength: number
  /** Time after its last publication for which a history is kept. As text: Redis would format a number for each publication. */
  readonly seconds: string
  /** The `run_id` of this Redis process, when known. */
  readonly runId: string | undefined
  /** How long the record of the run is kept; 0: forever. */
  readonly runSeconds: number
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
