/**
 * Reads what follows a position, atomically (PROTOCOL.md §3). The list holds publications as they were published, without holes, so
 * that the newest one tells where each stands. A key that holds something else counts as an empty history, as it does to the publisher.
 *
 * KEYS[1] the history; ARGV epoch and offset of the position, most publications wanted, seconds a history outlives its last
 * publication. Answers {newest position, whole (1 or 0), publications…}; of an empty channel the newest is `<now ms>-0`.
 *
 * `whole` of a position with offset 0 ("the channel was empty then"): the history must begin at 1 after it, and none can have begun
 * and expired between.
 */
export const historyScript = `
local epoch, offset, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local recent = offset == 0 and now - tonumber(epoch) < tonumber(ARGV[4]) * 1000
local newest = redis.pcall('LINDEX', KEYS[1], -1)
local lastEpoch, lastOffset
if type(newest) == 'string' then lastEpoch, lastOffset = string.match(newest, '^(%d+)-(%d+)\\n') end
if not lastEpoch then return { string.format('%.0f-0', now), recent and 1 or 0 } end
local last = tonumber(lastOffset)
local first = last - redis.call('LLEN', KEYS[1]) + 1
local whole, from
if lastEpoch == epoch then
  whole = offset + 1 >= first and offset <= last
  from = math.max(offset + 1, first)
else
  whole = recent and tonumber(epoch) <= tonumber(lastEpoch) and first == 1
  from = first
end
local reply = { lastEpoch .. '-' .. lastOffset, whole and 1 or 0 }
if most > 0 and from <= last then
  local page = redis.call('LRANGE', KEYS[1], from - first, from - first + most - 1)
  for index = 1, #page do reply[index + 2] = page[index] end
end
return reply
`

/** KEYS histories; answers the newest position of each, as `historyScript` does, in one string with spaces between. */
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
