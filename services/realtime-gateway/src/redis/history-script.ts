import { runFunctions } from '@tidings/chassis'

/** Names the run of Redis to a script. A field that is undefined is absent from the JSON, and nil in Lua. */
export interface RunCall {
  /** The `run_id` of this Redis process, when known. */
  readonly runId: string | undefined
  /** How long the record of the run is kept; 0: for ever. */
  readonly runSeconds: number
}

/** Argument of `historyScript`, as JSON. */
export interface HistoryCall extends RunCall {
  /** The position to read after. The epoch is text: the script compares it with the text of the history. */
  readonly epoch: string
  readonly offset: number
  /** Most publications to return. */
  readonly limit: number
  /** How long a history outlives its last publication. */
  readonly lifetimeSeconds: number
}

/** A page ends when it has this many bytes, or more with its last publication; it has at least one. */
const maxPageBytes = 262_144
/** Publications that the script takes from the list at once, until the page is full. */
const chunkLength = 50

/**
 * Reads what follows a position, atomically (PROTOCOL.md §3). The list holds publications as they were published, without holes, so
 * that the newest one gives the position of each. A key that holds something else, or what an earlier run of Redis left, counts as an
 * empty history, as it does to the publisher.
 *
 * KEYS[1] is the history, KEYS[2] the record of the run, ARGV[1] a `HistoryCall`. Returns {newest position, whole (1 or 0),
 * publications…}; of an empty channel the newest position is `<new epoch>-0`.
 *
 * With offset 0 ("the channel was empty then") `whole` means that the history begins at 1 after that time, and that none can have
 * begun and been lost in between: the position is of this run of Redis, no history can have expired since, and no key was evicted.
 */
export const historyScript = `${runFunctions}
local call = cjson.decode(ARGV[1])
openRun(call.runId, KEYS[2], call.runSeconds)

local function evicts()
  local info = redis.pcall('INFO', 'stats')
  return type(info) == 'string' and string.match(info, 'evicted_keys:([1-9])') ~= nil
end

local begun = math.floor(tonumber(call.epoch) / 100)
local wasEmpty = call.offset == 0 and ofRun(call.epoch) and now - begun < call.lifetimeSeconds * 1000 and not evicts()
local newest = redis.pcall('LINDEX', KEYS[1], -1)
local lastEpoch, lastOffset
if type(newest) == 'string' then lastEpoch, lastOffset = string.match(newest, '^(%d+)-(%d+)\\n') end
if not lastEpoch or not ofRun(lastEpoch) then return { newEpoch() .. '-0', wasEmpty and 1 or 0 } end
local last = tonumber(lastOffset)
local first = last - redis.call('LLEN', KEYS[1]) + 1
local whole, from
if lastEpoch == call.epoch then
  whole = call.offset + 1 >= first and call.offset <= last
  from = math.max(call.offset + 1, first)
else
  whole = wasEmpty and tonumber(call.epoch) <= tonumber(lastEpoch) and first == 1
  from = first
end
local reply = { lastEpoch .. '-' .. lastOffset, whole and 1 or 0 }
if call.limit > 0 and from <= last then
  local at, stop, bytes = from - first, math.min(from - first + call.limit, last - first + 1), 0
  while at < stop and bytes < ${maxPageBytes} do
    local chunk = redis.call('LRANGE', KEYS[1], at, math.min(at + ${chunkLength}, stop) - 1)
    for index = 1, #chunk do
      if bytes >= ${maxPageBytes} then break end
      reply[#reply + 1] = chunk[index]
      bytes = bytes + #chunk[index]
    end
    at = at + ${chunkLength}
  end
end
return reply
`

/**
 * KEYS are histories, then the record of the run; ARGV[1] is a `RunCall`. Returns the newest position of each history, as
 * `historyScript` does, in one string separated by spaces.
 */
export const lastScript = `${runFunctions}
local call = cjson.decode(ARGV[1])
openRun(call.runId, KEYS[#KEYS], call.runSeconds)
local empty = newEpoch() .. '-0'
local reply = {}
for index = 1, #KEYS - 1 do
  local newest = redis.pcall('LINDEX', KEYS[index], -1)
  local epoch, offset
  if type(newest) == 'string' then epoch, offset = string.match(newest, '^(%d+)-(%d+)\\n') end
  reply[index] = epoch and ofRun(epoch) and epoch .. '-' .. offset or empty
end
return table.concat(reply, ' ')
`
