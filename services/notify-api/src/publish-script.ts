/**
 * Appends publications to their channels' histories and publishes them, atomically (PROTOCOL.md §3).
 * KEYS: the history of each. ARGV: for each its channel, body, longest history, and seconds the history outlives it.
 * Answers position and receivers of each, in one list.
 *
 * The last publication says which position is next, so there is no counter that could part from the history: a history that is gone,
 * or is something else than a list, begins anew with a new epoch.
 */
export const publishScript = (publish: 'PUBLISH' | 'SPUBLISH') => `
local answers = {}
for i, history in ipairs(KEYS) do
  local channel, body, length, seconds = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local last = redis.pcall('LINDEX', history, -1)
  local epoch, offset
  if type(last) == 'string' then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
  if not epoch then
    redis.call('DEL', history)
    local time = redis.call('TIME')
    epoch, offset = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), 0
  end
  local position = epoch .. '-' .. string.format('%.0f', offset + 1)
  local publication = position .. '\\n' .. body
  if redis.call('RPUSH', history, publication) > tonumber(length) then redis.call('LTRIM', history, -tonumber(length), -1) end
  redis.call('EXPIRE', history, seconds)
  answers[2 * i - 1], answers[2 * i] = position, redis.call('${publish}', channel, publication)
end
return answers
`
