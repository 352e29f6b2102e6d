/**
 * Appends a publication to its channel's history and publishes it, atomically (PROTOCOL.md §3).
 * KEYS: history. ARGV: channel, body, longest history, seconds the history outlives this. Answers {position, receivers}.
 *
 * The last publication says which position is next, so there is no counter that could part from the history: a history that is gone,
 * or is something else than a list, begins anew with a new epoch.
 */
export const publishScript = (publish: 'PUBLISH' | 'SPUBLISH') => `
local last = redis.pcall('LINDEX', KEYS[1], -1)
local epoch, offset
if type(last) == 'string' then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
if not epoch then
  redis.call('DEL', KEYS[1])
  local time = redis.call('TIME')
  epoch, offset = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 0
end
local position = epoch .. '-' .. string.format('%.0f', offset + 1)
local publication = position .. '\\n' .. ARGV[2]
redis.call('RPUSH', KEYS[1], publication)
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[3]), -1)
redis.call('EXPIRE', KEYS[1], ARGV[4])
return {position, redis.call('${publish}', ARGV[1], publication)}
`
