import { Cluster, Command, type Redis } from 'ioredis'
import type { RedisConnection } from './redis.ts'

/** Lua function: returns the `run_id` of the process, which costs more than the rest of a script. Where INFO is forbidden it is empty. */
export const runIdFunction = `
local function processRunId()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end
`

/**
 * Lua functions that scripts of both services share, to give and to check positions (PROTOCOL.md §3).
 *
 * A *run* is the life of one Redis process as the server that gives positions. After a restart or a failover another process gives
 * them, and it may lack what the previous one acknowledged: nothing that an earlier run gave may be continued or trusted. The clocks of
 * two servers are never compared. Instead each epoch carries a tag of its run: `<ms> * 100 + <tag>`, where `ms` is the clock of Redis.
 *
 * - `now`, the clock in ms.
 * - `openRun(runId, key, keepSeconds)` must be called first. Reads the run that is recorded in `key`, or records a new one if the
 *   process is another one than recorded. `runId` is the `run_id` of the process, or nil to read it with INFO, which costs more than
 *   the rest of a script. The record expires `keepSeconds` after the last call; 0: never.
 * - `ofRun(epoch)`: true if the current run gave this epoch.
 * - `newEpoch()`: the epoch of a history that begins now, as text.
 *
 * The tag of a recorded predecessor is never used again by its successor. Where the record is lost with all data, the tag is random, and
 * the times before the first record of the run and after `now` are excluded as well. Where INFO is forbidden, all processes look alike.
 */
export const runFunctions = `${runIdFunction}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since, tag

local function openRun(runId, key, keepSeconds)
  runId = runId or processRunId()
  local record = redis.pcall('GET', key)
  local recorded
  if type(record) == 'string' then recorded, since, tag = string.match(record, '^(%w*) (%d+) (%d+)$') end
  since, tag = tonumber(since), tonumber(tag)
  if recorded ~= runId then
    since = now
    if recorded then tag = (tag + 1) % 100 else tag = time[2] % 100 end
    redis.pcall('SET', key, string.format('%s %.0f %.0f', runId, since, tag))
  end
  if keepSeconds > 0 then redis.pcall('EXPIRE', key, keepSeconds) end
end

local function ofRun(epoch)
  local number = tonumber(epoch)
  local begun = math.floor(number / 100)
  return number % 100 == tag and begun >= since and begun <= math.max(now, since)
end

local function newEpoch()
  return string.format('%.0f', math.max(now, since) * 100 + tag)
end
`

/**
 * Returns a function that returns the `run_id` of the server at the other end of a connection, for `openRun`. A connection does not
 * outlive that server process. The result is undefined while the `run_id` is not known, and always on a Cluster, where a redirect may
 * lead a command to another node.
 */
export function runIdOf(redis: RedisConnection): () => string | undefined {
  let runId: string | undefined
  if (!(redis instanceof Cluster)) {
    redis.on('ready', () => {
      redis.info('server').then(
        (info) => (runId = /^run_id:(\w+)/m.exec(info)?.[1]),
        () => {}, // stays unknown
      )
    })
    redis.on('close', () => {
      runId = undefined
    })
  }
  return () => runId
}

/** Sends the call of a script that concerns `key`. `call` may run twice, if the first time had no effect. */
export type ScriptCaller = <T>(key: string, call: (redis: RedisConnection, runId: string | undefined) => Promise<T>) => Promise<T>

/** Error replies of a node of a Cluster that did not execute the command, and that a Cluster connection handles. */
const notExecuted = /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN|LOADING|READONLY) /

/**
 * Returns a function that sends calls of scripts with the `run_id` for `openRun`. On a Cluster it sends them straight to the node that serves
 * the key, whose connection does not outlive the process either. If that node does not serve the key any more, or its `run_id` is not known,
 * the Cluster connection sends the call, without a `run_id`.
 */
export function scriptCaller(redis: RedisConnection): ScriptCaller {
  if (!(redis instanceof Cluster)) {
    const runId = runIdOf(redis)
    return (_key, call) => call(redis, runId())
  }
  const nodes = new Map<string, { readonly node: Redis; readonly runId: () => string | undefined }>()
  redis.on('+node', (node: Redis) => {
    const address = `${node.options.host}:${node.options.port}`
    nodes.set(address, { node, runId: runIdOf(node) })
    node.once('end', () => {
      if (nodes.get(address)?.node === node) nodes.delete(address)
    })
  })
  return async (key, call) => {
    const serving = nodes.get(redis.slots[new Command('get', [key]).getSlot() ?? 0]?.[0] ?? '')
    const runId = serving?.runId()
    if (serving && runId !== undefined) {
      try {
        return await call(serving.node, runId)
      } catch (error) {
        if (!notExecuted.test((error as Error).message)) throw error
      }
    }
    return call(redis, undefined)
  }
}

/**
 * Returns the key that records the run: one for a whole server, one in the slot of each channel on a Cluster. `prefix` precedes every
 * name in Redis.
 */
export function runKey(cluster: boolean, channel: string, prefix = ''): string {
  return cluster ? `{${prefix}${channel}}:run` : `${prefix}tidings:run`
}
