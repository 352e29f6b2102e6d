/**
 * Which history of writes this server has (INFO: `master_replid`). Another one after a failover or a restart: what was last
 * acknowledged may be missing from it, and positions that have been given would be given again. Empty where INFO is forbidden.
 */
export const dataset = `
local info = redis.pcall('INFO', 'replication')
local dataset = type(info) == 'string' and string.match(info, 'master_replid:(%w+)') or ''
`

/**
 * Appends publications to their channels' histories and publishes them, atomically (PROTOCOL.md §3).
 * KEYS: the history of each, then where the dataset is noted. ARGV: for each its channel, body, longest history, and seconds the
 * history outlives it; then seconds to keep the note, 0 for ever.
 * Answers position and receivers of each, in one list.
 *
 * The last publication says which position is next, so there is no counter that could part from the history: a history that is gone,
 * is something else than a list, or is from before this dataset, begins anew with a new epoch.
 */
export const publishScript = (publish: 'PUBLISH' | 'SPUBLISH') => `${dataset}
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local count = #KEYS - 1
local note, keep = KEYS[count + 1], ARGV[4 * count + 1]
local noted = redis.pcall('GET', note)
local known, since
if type(noted) == 'string' then known, since = string.match(noted, '^(%w*) (%d+)$') end
if known ~= dataset then
  since = now
  redis.call('SET', note, dataset .. ' ' .. since)
end
if keep ~= '0' then redis.call('EXPIRE', note, keep) end

local answers = {}
for i = 1, count do
  local history = KEYS[i]
  local channel, body, length, seconds = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local last = redis.pcall('LINDEX', history, -1)
  local epoch, offset
  if type(last) == 'string' then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
  if not epoch or tonumber(epoch) < tonumber(since) then
    redis.call('DEL', history)
    epoch, offset = now, 0
  end
  local position = epoch .. '-' .. string.format('%.0f', offset + 1)
  local publication = position .. '\\n' .. body
  if redis.call('RPUSH', history, publication) > tonumber(length) then redis.call('LTRIM', history, -tonumber(length), -1) end
  redis.call('EXPIRE', history, seconds)
  answers[2 * i - 1], answers[2 * i] = position, redis.call('${publish}', channel, publication)
end
return answers
`
