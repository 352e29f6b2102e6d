import { sinceFunction } from '../outbox/publish-script.ts'

/**
 * What keeps a task's channel in order while it runs, atomically. KEYS of each script: the channel's history, beside it a hash with what
 * the checks need, so that nothing is counted twice, and the note of who writes (publish-script.ts). The hash:
 *
 *   status   queued, running, closing (its end is being written), or how it ended
 *   text     bytes of all appends        data     bytes of all data, as JSON
 *   percent, stage                       of the last progress that had them
 *   seen     ms at which the producer was heard of        leased   ms at which MySQL was told so
 *   lost     set when the history was lost in mid-task: whoever appends must say that it begins anew
 *   closer   who writes the end      closed   ms at which it began to
 */

const shared = (publish: string) => `${sinceFunction}
local now = clock()

local function newest()
  local last = redis.pcall('LINDEX', KEYS[1], -1)
  if type(last) == 'string' then return string.match(last, '^(%d+)-(%d+)\\n') end
end

-- What another Redis began counts as lost.
local function forget(run, seconds)
  local begun, epoch = since(run, KEYS[3], seconds), newest()
  if epoch and tonumber(epoch) < begun then redis.call('DEL', KEYS[1], KEYS[2]) end
end

local function append(channel, epoch, offset, body)
  local position = epoch .. '-' .. string.format('%.0f', offset)
  redis.call('RPUSH', KEYS[1], position .. '\\n' .. body)
  redis.call('${publish}', channel, position .. '\\n' .. body)
  return position
end
`

/**
 * One event. ARGV: channel, body, bytes of text, bytes of data, byte offset of the text (empty: wherever it ends), percent, stage
 * (empty: as it is), quiet (1: no publication when the task is running), most bytes of text, of data, most publications, seconds the
 * history outlives this, ms after which MySQL is to be told again, 1 when this may be a repetition of the last append, ms after which an
 * end that was not written is given up, the `run_id` of this Redis, or empty, seconds to keep the note of who writes.
 *
 * Answers {ok, position, bytes of text, 1 when MySQL is to be told}, {unknown}, {over, status}, {offset, bytes of text}, or
 * {limit, name of the limit, bytes of text}.
 */
export const eventScript = (publish: string) => `${shared(publish)}
forget(ARGV[16], ARGV[17])
local task = redis.call('HMGET', KEYS[2], 'status', 'text', 'data', 'leased', 'lost', 'closed')
local status = task[1]
if not status then return {'unknown'} end
if status == 'closing' and now - tonumber(task[6]) > tonumber(ARGV[15]) then
  redis.call('HDEL', KEYS[2], 'closer', 'closed')
  status = 'running'
end
if status ~= 'queued' and status ~= 'running' then return {'over', status} end
local epoch, last = newest()
if not epoch then
  redis.call('DEL', KEYS[2])
  return {'unknown'}
end

local text, data = tonumber(task[2]), tonumber(task[3])
local moreText, moreData, offset = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local body = ARGV[2]
if ARGV[8] == '1' and status == 'running' then body = '' end
if moreText > 0 then
  if ARGV[14] == '1' and offset and offset + moreText == text then
    body = '' -- it was appended before, and only the answer was lost
    moreText = 0
  elseif offset and offset ~= text or task[5] and not offset then
    return {'offset', text}
  end
end
if text + moreText > tonumber(ARGV[9]) then return {'limit', 'MAX_TASK_TEXT_BYTES', text} end
if data + moreData > tonumber(ARGV[10]) then return {'limit', 'MAX_TASK_DATA_BYTES', text} end
-- One place is left for the last event.
if body ~= '' and redis.call('LLEN', KEYS[1]) + 2 > tonumber(ARGV[11]) then return {'limit', 'MAX_TASK_EVENTS', text} end

local position = epoch .. '-' .. last
if body ~= '' then position = append(ARGV[1], epoch, last + 1, body) end
local fields = {'status', 'running', 'text', text + moreText, 'data', data + moreData, 'seen', string.format('%.0f', now)}
local function set(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if ARGV[6] ~= '' then set('percent', ARGV[6]) end
if ARGV[7] ~= '' then set('stage', ARGV[7]) end
local renew = now - tonumber(task[4] or 0) > tonumber(ARGV[13])
if renew then set('leased', string.format('%.0f', now)) end
redis.call('HSET', KEYS[2], unpack(fields))
if moreText > 0 and task[5] then redis.call('HDEL', KEYS[2], 'lost') end
redis.call('EXPIRE', KEYS[1], ARGV[12])
redis.call('EXPIRE', KEYS[2], ARGV[12])
return {'ok', position, text + moreText, renew and 1 or 0}
`

/**
 * Begins the channel with its first event, once; or finds out again what the hash says when that was lost. ARGV: channel, body of the
 * first event, status, seconds, the `run_id` of this Redis, or empty, seconds to keep the note of who writes. Answers the status.
 */
export const openScript = (publish: string) => `${shared(publish)}
forget(ARGV[5], ARGV[6])
local status = redis.call('HGET', KEYS[2], 'status')
if status and newest() then return status end
status = ARGV[3]
local text, data, lost = 0, 0, ''
if newest() then
  for _, publication in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    local body = string.match(publication, '^%d+%-%d+\\n(.*)$')
    local ok, event = pcall(cjson.decode, body)
    if ok and event.type == 'append' then text = text + #event.text end
    if ok and event.type == 'data' then data = data + #body end
    if ok and event.type == 'finished' then status = event.status end
  end
else
  redis.call('DEL', KEYS[1])
  append(ARGV[1], string.format('%.0f', now), 1, ARGV[2])
  if status == 'running' then lost = '1' end
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'status', status, 'text', text, 'data', data, 'seen', string.format('%.0f', now))
if lost ~= '' then redis.call('HSET', KEYS[2], 'lost', lost) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return status
`

/** No event comes from now on. ARGV: who closes. Answers `closing`, how the task ended before, or nothing when it is not known. */
export const closeScript = `
local status = redis.call('HGET', KEYS[2], 'status')
if not status or redis.call('EXISTS', KEYS[1]) == 0 then return false end
if status ~= 'queued' and status ~= 'running' and status ~= 'closing' then return status end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[2], 'status', 'closing', 'closer', ARGV[1], 'closed', string.format('%.0f', now))
return 'closing'
`

/** Says how it stands after a close. ARGV: status, who closed (empty: whoever did). Another who closed since has the word. */
export const markScript = `
local task = redis.call('HMGET', KEYS[2], 'status', 'closer')
if not task[1] or ARGV[2] ~= '' and task[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[2], 'status', ARGV[1])
redis.call('HDEL', KEYS[2], 'closer', 'closed')
return 1
`

/** Answers how many ms ago the producer was heard of; nothing when it is not known. */
export const silenceScript = `
local seen = redis.call('HGET', KEYS[2], 'seen')
if not seen then return false end
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000) - seen
`
