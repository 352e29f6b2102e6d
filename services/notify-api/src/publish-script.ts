/**
 * `since(note, keep)`: the ms since which this Redis writes, as noted in the key `note` under its `run_id` (INFO); the note is kept for `keep`
 * seconds, 0 for ever. After a failover or a restart it is another one that writes: it may lack what the last one acknowledged, and the
 * positions of histories that began before would be given twice. 0 when there has been no other, and where INFO is forbidden.
 */
export const sinceFunction = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function since(note, keep)
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
  local noted = redis.pcall('GET', note)
  local last, at
  if type(noted) == 'string' then last, at = string.match(noted, '^(%w*) (%d+)$') end
  if last ~= run then
    at = last and now or 0
    redis.call('SET', note, string.format('%s %.0f', run, at))
  end
  if tonumber(keep) > 0 then redis.call('EXPIRE', note, keep) end
  return tonumber(at)
end
`

/** Where it is noted who writes: once for a server; of a cluster's many, on the slot of each channel. */
export function runNote(cluster: boolean, channel: string): string {
  return cluster ? `{${channel}}:run` : 'tidings:run'
}

/**
 * Appends publications to their channels' histories and publishes them, atomically (PROTOCOL.md §3).
 * KEYS: the history of each, then the note of who writes. ARGV: for each its channel, body, longest history, and seconds the
 * history outlives it; then seconds to keep the note, 0 for ever.
 * Answers position and receivers of each, in one list.
 *
 * The last publication says which position is next, so there is no counter that could part from the history: a history that is gone,
 * is something else than a list, or was begun by another Redis, begins anew with a new epoch.
 */
export const publishScript = (publish: 'PUBLISH' | 'SPUBLISH') => `${sinceFunction}
local count = #KEYS - 1
local begun = since(KEYS[count + 1], ARGV[4 * count + 1])
local answers = {}
for i = 1, count do
  local history = KEYS[i]
  local channel, body, length, seconds = ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i]
  local last = redis.pcall('LINDEX', history, -1)
  local epoch, offset
  if type(last) == 'string' then epoch, offset = string.match(last, '^(%d+)-(%d+)\\n') end
  if not epoch or tonumber(epoch) < begun then
    redis.call('DEL', history)
    epoch, offset = string.format('%.0f', now), 0
  end
  local position = epoch .. '-' .. string.format('%.0f', offset + 1)
  local publication = position .. '\\n' .. body
  if redis.call('RPUSH', history, publication) > tonumber(length) then redis.call('LTRIM', history, -tonumber(length), -1) end
  redis.call('EXPIRE', history, seconds)
  answers[2 * i - 1], answers[2 * i] = position, redis.call('${publish}', channel, publication)
end
return answers
`
