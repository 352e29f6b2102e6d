import { runFunctions } from '@tidings/chassis'

/**
 * Appends publications to the histories of their channels and publishes them, atomically (PROTOCOL.md §3). Each of them is appended and
 * published, or neither.
 *
 * KEYS: the history of each publication's channel, then the record of the run of Redis. ARGV[1]: JSON of {@link PublishCall}. ARGV[2…]: the bodies.
 * Returns two values for each publication: the number of its receivers and its position, or the text of the error reply that refused it and an
 * empty one. After a refusal the rest of the same channel is refused too, which keeps its order.
 *
 * The last publication of a history determines the next position, so no separate counter can disagree with the history. A history that
 * is missing, is not a list of publications, or was begun by an earlier run of Redis starts again with a new epoch.
 */
export const publishScript = (publish: 'PUBLISH' | 'SPUBLISH') => `${runFunctions}
local call = cjson.decode(ARGV[1])
local count = #KEYS - 1
local maxLength = call.maxLength
openRun(call.runId, KEYS[count + 1], call.runSeconds)

local function appendAndPublish(history, body)
  local channel = string.match(history, '^{(.+)}:history$')
  local last = redis.pcall('LINDEX', history, -1)
  local epoch, offset
  if type(last) == 'string' then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
  if not epoch or not ofRun(epoch) then
    local deleted = redis.pcall('DEL', history)
    if type(deleted) == 'table' then return deleted.err end
    epoch, offset = newEpoch(), 0
  end
  local position = string.format('%s-%.0f', epoch, offset + 1)
  local publication = position .. '\\n' .. body
  local length = redis.pcall('RPUSH', history, publication)
  if type(length) == 'table' then return length.err end
  local receivers = redis.pcall('EXPIRE', history, call.seconds)
  if type(receivers) ~= 'table' then receivers = redis.pcall('${publish}', channel, publication) end
  if type(receivers) == 'table' then
    redis.pcall('RPOP', history)
    return receivers.err
  end
  -- Last: a refused publication does not cost the history its oldest one.
  if length > maxLength then redis.pcall('LTRIM', history, -maxLength, -1) end
  return receivers, position
end

local results, refusals = {}, {}
for i = 1, count do
  local history = KEYS[i]
  local result, position = refusals[history], ''
  if not result then result, position = appendAndPublish(history, ARGV[i + 1]) end
  if type(result) == 'string' then
    -- Concerns every write. An error makes the connection look for the master.
    if string.find(result, 'READONLY', 1, true) then return redis.error_reply(result) end
    refusals[history] = result
  end
  results[2 * i - 1], results[2 * i] = result, position or ''
end
return results
`

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
