import { runFunctions } from '@tidings/chassis'
import { historyLimits } from '@tidings/protocol'

/**
 * Lua scripts that keep a running task consistent in Redis, each of them atomic.
 *
 * KEYS of each: the history of the task's channel, the task's hash, the record of the run of Redis. ARGV[1] is JSON of the
 * script's named arguments: a field that is undefined is absent from it, and nil in Lua. A body is an argument of its own.
 *
 * The hash holds what the checks need, so that no event has to read the history:
 *
 *   status          queued, running, closing (its end is being stored), or a terminal status
 *   text, data      bytes of all appended text, and of all data as JSON
 *   percent, stage  from the last progress that had them
 *   seen            time in ms of the producer's last event
 *   leased          time in ms at which the lease was last due for renewal in MySQL
 *   lost            set when the history of a running task was lost: an append must then have an offset
 *   closer, closed  id of the attempt to end the task, and the time in ms at which it began
 */

const { seconds } = historyLimits.taskEvents

/** After this time an end that is not stored counts as abandoned, and events are accepted again. Longer than storing an end may take. */
export const closeTimeoutMs = 15_000

/** Functions of the scripts that publish. On a Cluster every channel has its own record of the run, which expires with the history. */
const publishing = (cluster: boolean) => `${runFunctions}
local historyKey, taskKey, runKey = KEYS[1], KEYS[2], KEYS[3]
local call = cjson.decode(ARGV[1])
openRun(call.runId, runKey, ${cluster ? seconds : 0})

-- Returns epoch and offset of the last publication, or nil.
local function lastPosition()
  local last = redis.pcall('LINDEX', historyKey, -1)
  if type(last) == 'string' then return string.match(last, '^(%d+)-(%d+)\\n') end
end

-- A history that an earlier run of Redis began counts as lost: positions in it could be used twice.
local function deleteEarlierHistory()
  local epoch = lastPosition()
  if epoch and not ofRun(epoch) then redis.call('DEL', historyKey, taskKey) end
end

local function append(epoch, offset, body)
  local channel = string.match(historyKey, '^{(.+)}:history$')
  local position = epoch .. '-' .. string.format('%.0f', offset)
  local publication = position .. '\\n' .. body
  redis.call('RPUSH', historyKey, publication)
  redis.call('${cluster ? 'SPUBLISH' : 'PUBLISH'}', channel, publication)
  return position
end

local function expireLater()
  redis.call('EXPIRE', historyKey, '${seconds}')
  redis.call('EXPIRE', taskKey, '${seconds}')
end
`

/** Named arguments of {@link eventScript}. */
export interface EventCall {
  /** Bytes that the event adds to the text. */
  readonly textBytes: number
  /** Bytes that the event adds to the data. */
  readonly dataBytes: number
  /** Byte offset at which the text must end before the append; undefined: anywhere. */
  readonly offset: number | undefined
  /** Text that already ends at `offset + textBytes` counts as appended. */
  readonly allowRepeat: boolean
  readonly percent: number | undefined
  readonly stage: string | undefined
  /** Publishes nothing when the task is already running. */
  readonly quiet: boolean
  readonly maxTextBytes: number
  readonly maxDataBytes: number
  /** Publications on the channel, including the last one, which ends the task. */
  readonly maxEvents: number
  /** Time after which the lease is due for renewal in MySQL. */
  readonly renewAfterMs: number
  readonly runId: string | undefined
}

/**
 * Appends one event. ARGV[1]: {@link EventCall}. ARGV[2]: the body.
 *
 * Returns {'ok', position, bytes of text, 1 when the lease in MySQL is due for renewal}, {'unknown'} when Redis has lost the task,
 * {'over', status} when the task is closing or over, {'offset', bytes of text} when the text ends elsewhere, or
 * {'limit', name of the setting, bytes of text}.
 */
export const eventScript = (cluster: boolean) => `${publishing(cluster)}
deleteEarlierHistory()
local task = redis.call('HMGET', taskKey, 'status', 'text', 'data', 'leased', 'lost', 'closed')
local status, lost = task[1], task[5]
if not status then return {'unknown'} end
if status == 'closing' and now - tonumber(task[6]) > ${closeTimeoutMs} then
  redis.call('HDEL', taskKey, 'closer', 'closed')
  status = 'running'
end
if status ~= 'queued' and status ~= 'running' then return {'over', status} end
local epoch, last = lastPosition()
if not epoch then
  redis.call('DEL', taskKey)
  return {'unknown'}
end

local text, data, body = tonumber(task[2]), tonumber(task[3]), ARGV[2]
local textBytes, offset = call.textBytes, call.offset
local publishes = not (call.quiet and status == 'running')
if textBytes > 0 then
  if call.allowRepeat and offset and offset + textBytes == text then
    -- The same text was appended before, and only the response was lost.
    publishes = false
    textBytes = 0
  elseif offset and offset ~= text or lost and not offset then
    return {'offset', text}
  end
end
if text + textBytes > call.maxTextBytes then return {'limit', 'MAX_TASK_TEXT_BYTES', text} end
if data + call.dataBytes > call.maxDataBytes then return {'limit', 'MAX_TASK_DATA_BYTES', text} end
-- One publication is reserved for the end.
if publishes and redis.call('LLEN', historyKey) + 2 > call.maxEvents then return {'limit', 'MAX_TASK_EVENTS', text} end

local position = publishes and append(epoch, last + 1, body) or epoch .. '-' .. last
local seen = string.format('%.0f', now)
local fields = {'status', 'running', 'text', text + textBytes, 'data', data + call.dataBytes, 'seen', seen}
local function set(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
if call.percent then set('percent', call.percent) end
if call.stage then set('stage', call.stage) end
local renew = now - tonumber(task[4] or 0) > call.renewAfterMs
if renew then set('leased', seen) end
redis.call('HSET', taskKey, unpack(fields))
if textBytes > 0 and lost then redis.call('HDEL', taskKey, 'lost') end
expireLater()
return {'ok', position, text + textBytes, renew and 1 or 0}
`

/** Named arguments of {@link openScript}. */
export interface OpenCall {
  /** The task's status in MySQL. */
  readonly status: string
  readonly runId: string | undefined
}

/**
 * Begins the channel with its first event, once. When only the hash is lost, restores it from the history. ARGV[1]: {@link OpenCall}.
 * ARGV[2]: body of the first event. Returns the task's status.
 */
export const openScript = (cluster: boolean) => `${publishing(cluster)}
deleteEarlierHistory()
local status = redis.call('HGET', taskKey, 'status')
if status and lastPosition() then return status end
status = call.status
local text, data, lost = 0, 0, false
if lastPosition() then
  for _, publication in ipairs(redis.call('LRANGE', historyKey, 0, -1)) do
    local body = string.gsub(string.match(publication, '^%d+%-%d+\\n(.*)$'), '^00%-%x+%-%x+%-%x+\\n', '')
    local ok, event = pcall(cjson.decode, body)
    if ok and event.type == 'append' then text = text + #event.text end
    if ok and event.type == 'data' then data = data + #body end
    if ok and event.type == 'finished' then status = event.status end
  end
else
  redis.call('DEL', historyKey)
  append(newEpoch(), 1, ARGV[2])
  lost = status == 'running'
end
redis.call('DEL', taskKey)
redis.call('HSET', taskKey, 'status', status, 'text', text, 'data', data, 'seen', string.format('%.0f', now))
if lost then redis.call('HSET', taskKey, 'lost', '1') end
expireLater()
return status
`

/** Named arguments of {@link closeScript}. */
export interface CloseCall {
  /** Id of this attempt to end the task. */
  readonly closer: string
}

/**
 * Refuses events from now on. ARGV[1]: {@link CloseCall}. Returns 'closing', the status with which the task ended before, or nil when
 * Redis does not have the task.
 */
export const closeScript = `${runFunctions}
local historyKey, taskKey = KEYS[1], KEYS[2]
local call = cjson.decode(ARGV[1])
local status = redis.call('HGET', taskKey, 'status')
if not status or redis.call('EXISTS', historyKey) == 0 then return false end
if status ~= 'queued' and status ~= 'running' and status ~= 'closing' then return status end
redis.call('HSET', taskKey, 'status', 'closing', 'closer', call.closer, 'closed', string.format('%.0f', now))
return 'closing'
`

/** Named arguments of {@link markScript}. */
export interface MarkCall {
  readonly status: string
  /** The status is set only if this attempt was the last to close the task; undefined: always. */
  readonly closer: string | undefined
}

/** Sets the status after a close, unless a later attempt has closed the task since. ARGV[1]: {@link MarkCall}. */
export const markScript = `
local taskKey = KEYS[2]
local call = cjson.decode(ARGV[1])
local task = redis.call('HMGET', taskKey, 'status', 'closer')
if not task[1] or call.closer and task[2] ~= call.closer then return 0 end
redis.call('HSET', taskKey, 'status', call.status)
redis.call('HDEL', taskKey, 'closer', 'closed')
return 1
`

/** Returns the ms since the producer's last event, or nil when Redis does not have the task. */
export const silenceScript = `${runFunctions}
local seen = redis.call('HGET', KEYS[2], 'seen')
if not seen then return false end
return now - seen
`
