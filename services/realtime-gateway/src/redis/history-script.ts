/** Argument of `historyScript`, as JSON. */
export interface HistoryCall {
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
 * that the newest one gives the position of each. A key that holds something else counts as an empty history, as it does to the
 * publisher.
 *
 * KEYS[1] is the history, ARGV[1] a `HistoryCall`. Returns {newest position, whole (1 or 0), publications…}; of an empty channel the
 * newest position is `<now ms>-0`.
 *
 * With offset 0 ("the channel was empty then") `whole` means that the history begins at 1 after that time, and that none can have
 * begun and expired in between.
 */
export const historyScript = `
local call = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local recent = call.offset == 0 and now - tonumber(call.epoch) < call.lifetimeSeconds * 1000
local newest = redis.pcall('LINDEX', KEYS[1], -1)
local lastEpoch, lastOffset
if type(newest) == 'string' then lastEpoch, lastOffset = string.match(newest, '^(%d+)-(%d+)\\n') end
if not lastEpoch then return { string.format('%.0f-0', now), recent and 1 or 0 } end
local last = tonumber(lastOffset)
local first = last - redis.call('LLEN', KEYS[1]) + 1
local whole, from
if lastEpoch == call.epoch then
  whole = call.offset + 1 >= first and call.offset <= last
  from = math.max(call.offset + 1, first)
else
  whole = recent and tonumber(call.epoch) <= tonumber(lastEpoch) and first == 1
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

/** KEYS are histories. Returns the newest position of each, as `historyScript` does, in one string separated by spaces. */
export const lastScript = `
local time = redis.call('TIME')
local empty = string.format('%.0f-0', time[1] * 1000 + math.floor(time[2] / 1000))
local reply = {}
for index = 1, #KEYS do
  local newest = redis.pcall('LINDEX', KEYS[index], -1)
  reply[index] = type(newest) == 'string' and string.match(newest, '^(%d+-%d+)\\n') or empty
end
return table.concat(reply, ' ')
`
