import { runFunctions, runIdFunction } from '@tidings/chassis'
import { historyLimits } from '@tidings/protocol'

/**
 * Lua scripts that keep a running task consistent in Redis, each of them atomic.
 *
 * KEYS of each: the history of the task's channel, the task's hash, the record of the run of Redis. ARGV[1] is JSON of the
 * script's named arguments: a field that is undefined is absent from it, and nil in Lua. A body is an argument of its own. The script of
 * events, which runs far more often than the others, has a list of arguments instead (decision 0035).
 *
 * The hash holds what the checks need, so that no event has to read the history:
 *
 *   status          queued, running, closing (its end is being stored), or a terminal status
 *   text, data      bytes of all appended text, and of all data as JSON
 *   percent, stage  from the last progress that had them
 *   seen            time in ms of the producer's last event that renewed it, which one does every `renewAfterMs`
 *   last            start and tag of the run of Redis, and position of the last publication, as of the last event
 *   lost            set when the history of a running task was lost: an append must then have an offset
 *   closer, closed  id of the attempt to end the task, and the time in ms at which it began
 */

const { seconds } = historyLimits.taskEvents

/** After this time an end that is not stored counts as abandoned. Longer than storing an end may take. */
export const closeTimeoutMs = 15_000

export interface ScriptSettings {
  readonly cluster: boolean
  readonly maxTextBytes: number
  readonly maxDataBytes: number
  /** Publications on the channel, including the last one, which ends the task. */
  readonly maxEvents: number
  /** While events come, one of them renews `seen` and the expiry when this time has passed since the last that did. */
  readonly renewAfterMs: number
}

/** Time for which the keys are kept: an hour after the last publication, which may come just before the next renewal. */
const keepSeconds = ({ renewAfterMs }: ScriptSettings) => seconds + Math.ceil(renewAfterMs / 1_000)

/** Functions of the scripts that publish. On a Cluster every channel has its own record of the run, which expires with the history. */
const publishing = (settings: ScriptSettings) => `
local historyKey, taskKey, runKey = KEYS[1], KEYS[2], KEYS[3]
local channel = string.sub(historyKey, 2, -${'}:history'.length + 1})

local function publish(publication) return redis.pcall('${settings.cluster ? 'SPUBLISH' : 'PUBLISH'}', channel, publication) end

-- Returns epoch and offset of the last publication, or nil.
local function lastPosition()
  local last = redis.pcall('LINDEX', historyKey, -1)
  if type(last) == 'string' then return string.match(last, '^(%d+)-(%d+)\\n') end
end

local function expireLater()
  redis.call('EXPIRE', historyKey, '${keepSeconds(settings)}')
  redis.call('EXPIRE', taskKey, '${keepSeconds(settings)}')
  ${settings.cluster ? `redis.call('EXPIRE', runKey, '${keepSeconds(settings)}')` : ''}
end
`

/** Opens the run of Redis, after {@link publishing}. What an earlier run began counts as lost: positions in it could be used twice. */
const openingRun = (settings: ScriptSettings, runId: string) => `${runFunctions}
openRun(${runId}, runKey, ${settings.cluster ? keepSeconds(settings) : 0})
local epochOfRun = lastPosition()
if epochOfRun and not ofRun(epochOfRun) then redis.call('DEL', historyKey, taskKey) end
`

/** Arguments of {@link eventScript}. */
export interface EventCall {
  readonly body: string
  readonly runId: string | undefined
  /** Bytes that the event adds to the text. */
  readonly textBytes: number
  /** Byte offset at which the text must end before the append; undefined: anywhere. */
  readonly offset: number | undefined
  /** Bytes that the event adds to the data. */
  readonly dataBytes: number
  /** Text that already ends at `offset + textBytes` counts as appended. */
  readonly allowRepeat: boolean
  /** Renews `seen` and the expiry. */
  readonly renew: boolean
  /** Publishes nothing when the task is already running. */
  readonly quiet: boolean
  readonly percent: number | undefined
  readonly stage: string | undefined
}

/** Returns the arguments in the order in which the script unpacks them, without those at the end that are not set. */
export function eventArguments(call: EventCall): (string | number)[] {
  const { body, runId = '', textBytes, offset = '', dataBytes, allowRepeat, renew, quiet, percent = '', stage = '' } = call
  const rare = [dataBytes, allowRepeat ? 1 : '', renew ? 1 : '', quiet ? 1 : '', percent, stage]
  return [body, runId, textBytes, offset, ...(rare.some(Boolean) ? rare : [])]
}

/**
 * Appends one event. ARGV: {@link eventArguments}. Returns words:
 *
 * - `ok <position> <bytes of text>`
 * - `unknown` when Redis has lost the task, or knows less of it than the history
 * - `over <status>` when the task is closing or over; `over closing <closer>` when that attempt to end it is abandoned
 * - `offset <bytes of text>` when the text ends elsewhere
 * - `limit <name of the setting> <bytes of text>`
 *
 * Usually `last` tells that the history is of this run, and where it ends. Otherwise the record of the run and the history do.
 */
export const eventScript = (settings: ScriptSettings) => `${publishing(settings)}
local body, runId, textBytes, offset, dataBytes, allowRepeat, renew, quiet, percent, stage = unpack(ARGV)
if runId == '' then ${runIdFunction} runId = processRunId() end
local run = redis.call('GET', runKey)
local status, text, last = unpack(redis.call('HMGET', taskKey, 'status', 'text', 'last'))
local since = run and string.sub(run, 1, #runId + 1) == runId .. ' ' and string.sub(run, #runId + 2)
local epoch, offsetBefore, lost
if since and last and string.sub(last, 1, #since) == since then
  epoch, offsetBefore = string.match(last, '(%d+)-(%d+)', #since + 2)
else
  ${openingRun(settings, 'runId')}
  since = string.sub(redis.call('GET', runKey), #runId + 2)
  if not status or redis.call('EXISTS', taskKey) == 0 then return 'unknown' end
  epoch, offsetBefore = lastPosition()
  lost = redis.call('HGET', taskKey, 'lost')
end
if status == 'closing' then
  local closed, closer = unpack(redis.call('HMGET', taskKey, 'closed', 'closer'))
  if redis.call('TIME')[1] * 1000 - closed > ${closeTimeoutMs} then return 'over closing ' .. closer end
end
if status ~= 'running' and status ~= 'queued' then return 'over ' .. status end
if not epoch then
  redis.call('DEL', taskKey)
  return 'unknown'
end

local textEnd, publishes = text + textBytes, quiet ~= '1' or status == 'queued'
if textBytes ~= '0' then
  if allowRepeat == '1' and offset ~= '' and offset + textBytes == tonumber(text) then
    -- The same text was appended before, and only the response was lost.
    textEnd, publishes = tonumber(text), false
  elseif offset ~= '' and offset ~= text or lost and offset == '' then
    return 'offset ' .. text
  end
end
if textEnd > ${settings.maxTextBytes} then return 'limit MAX_TASK_TEXT_BYTES ' .. text end
local data
if dataBytes and dataBytes ~= '0' then
  data = redis.call('HGET', taskKey, 'data') + dataBytes
  if data > ${settings.maxDataBytes} then return 'limit MAX_TASK_DATA_BYTES ' .. text end
end
-- One publication is reserved for the end.
if publishes and offsetBefore + 2 > ${settings.maxEvents} then return 'limit MAX_TASK_EVENTS ' .. text end

local position, length, expected = epoch .. '-' .. offsetBefore, nil, tonumber(offsetBefore)
if publishes then
  expected = expected + 1
  position = epoch .. '-' .. expected
  local publication = position .. '\\n' .. body
  length = redis.pcall('RPUSHX', historyKey, publication)
  local receivers = length == expected and publish(publication)
  if type(receivers) == 'table' or type(length) == 'number' and length > 0 and length ~= expected then
    redis.call('RPOP', historyKey)
  end
  if type(receivers) == 'table' then return receivers end
else
  length = redis.pcall('LLEN', historyKey)
end
if length ~= expected then
  if type(length) == 'table' and not string.find(length.err, '^WRONGTYPE') then return length end
  -- The history was lost, or has what an event did not append, such as the end of the task.
  redis.call('HDEL', taskKey, 'last')
  return 'unknown'
end

textEnd = string.format('%.0f', textEnd)
redis.call('HSET', taskKey, 'text', textEnd, 'last', since .. ' ' .. position)
if status == 'queued' then redis.call('HSET', taskKey, 'status', 'running') end
if data then redis.call('HSET', taskKey, 'data', data) end
if percent and percent ~= '' then redis.call('HSET', taskKey, 'percent', percent) end
if stage and stage ~= '' then redis.call('HSET', taskKey, 'stage', stage) end
if lost then redis.call('HDEL', taskKey, textEnd == text and 'last' or 'lost') end
if renew == '1' then
  local time = redis.call('TIME')
  redis.call('HSET', taskKey, 'seen', time[1] .. string.format('%03d', time[2] / 1000))
  expireLater()
end
return 'ok ' .. position .. ' ' .. textEnd
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
export const openScript = (settings: ScriptSettings) => `${publishing(settings)}
local call = cjson.decode(ARGV[1])
${openingRun(settings, 'call.runId')}
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
  local publication = newEpoch() .. '-1\\n' .. ARGV[2]
  redis.call('RPUSH', historyKey, publication)
  local receivers = publish(publication)
  if type(receivers) == 'table' then
    redis.call('DEL', historyKey)
    return receivers
  end
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

/** Returns the ms since `seen`, or nil when Redis does not have the task. */
export const silenceScript = `${runFunctions}
local seen = redis.call('HGET', KEYS[2], 'seen')
if not seen then return false end
return now - seen
`
