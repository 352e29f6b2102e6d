import {
  connectRedis,
  isCluster,
  type Log,
  opened,
  type RedisConnection,
  type RedisTarget,
  RepeatedFailure,
  runKey,
  type ScriptCaller,
  scriptCaller,
} from '@tidings/chassis'
import {
  decodePublication,
  historyKey,
  type TaskChange,
  type TaskEvent,
  TaskFold,
  type TaskState,
  type TaskStatus,
  tracedBody,
} from '@tidings/protocol'
import { unavailable } from '../http/problem.ts'
import { type TaskIdentity, taskChannel } from './row.ts'
import {
  type CloseCall,
  closeScript,
  type EventCall,
  eventArguments,
  eventScript,
  type MarkCall,
  markScript,
  type OpenCall,
  openScript,
  silenceScript,
} from './script.ts'

export interface TaskLimits {
  readonly maxTextBytes: number
  readonly maxDataBytes: number
  readonly maxEvents: number
  readonly leaseMs: number
}

/** Where the text of an event must be appended. */
export interface AppendAt {
  /** Byte offset at which the task's text must end before the append; undefined: anywhere. */
  readonly offset?: number | undefined
  /**
   * Text that already ends at `offset` plus its own length is accepted without being appended: the caller may be repeating an append
   * whose response was lost.
   */
  readonly allowRepeat?: boolean
  /** Records in Redis that the producer is alive: to be set when an event has not done so for `redisRenewalMs`. */
  readonly renew?: boolean
  /** Trace of the request that appends. */
  readonly traceparent?: string | undefined
}

/** Result of appending an event. `over`: the task is closing, or over. `abandonedBy`: the attempt to end it that closed it, a long time ago. */
export type AppendResult =
  | { readonly outcome: 'ok'; readonly position: string; readonly textBytes: number }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'over'; readonly status: string; readonly abandonedBy: string | undefined }
  | { readonly outcome: 'offset'; readonly textBytes: number }
  | { readonly outcome: 'limit'; readonly limit: string; readonly textBytes: number }

/** What Redis knows about a running task without its history being read. `status` is null when Redis does not have the task. */
export interface TaskProgress {
  readonly status: string | null
  readonly percent: number | undefined
  readonly stage: string | undefined
}

type ScriptKeys = [history: string, task: string, runId: string]

/** Commands that the scripts add to the connection. */
interface TaskScripts {
  taskEvent(...args: [...ScriptKeys, ...(string | number)[]]): Promise<string>
  taskOpen(...args: [...ScriptKeys, call: string, body: string]): Promise<string>
  taskClose(...args: [...ScriptKeys, call: string]): Promise<string | null>
  taskMark(...args: [...ScriptKeys, call: string]): Promise<number>
  taskSilence(...args: ScriptKeys): Promise<number | null>
}

/** With the prefix before it: a stream of the tasks that have ended, one entry for each: its id, and its status. */
const endedName = 'task:ended'
/** Entries that the stream of ended tasks keeps, at least. More tasks than these must not end between two reads. */
const maxEndedEntries = 10_000
const endedSeconds = 60
/** Entries of one read of that stream. */
const endedPage = 1_000
/** Time after which the history of an ended task is deleted: clients that subscribe later read the task from MySQL. */
const endedHistorySeconds = 60

/** Tasks that have ended, and the position after them. */
export interface EndedTasks {
  readonly tasks: readonly { readonly taskId: string; readonly status: string }[]
  readonly position: string
}

/** Position before all ended tasks. */
export const beforeEndedTasks = '0-0'

const decoder = new TextDecoder()
/** A connection with a pending command is replaced after receiving nothing for this many command timeouts. */
const commandTimeoutsUntilReconnect = 5
/** Events record in Redis that their producer is alive when the last record is older than the lease divided by this. */
const redisRenewalsPerLease = 10

/** Returns the time after which an event records in Redis that its producer is alive. */
export function redisRenewalMs(leaseMs: number): number {
  return Math.floor(leaseMs / redisRenewalsPerLease)
}

/**
 * The channel of each running task in Redis, with its history. Until the end of a task is stored in MySQL, this is the only place that
 * has its text and data.
 *
 * Every method rejects with the problem `unavailable` when Redis does not respond in time; the command may have been executed.
 */
export class TaskHistory {
  readonly #redis: RedisConnection
  readonly #scripts: TaskScripts
  readonly #renewalMs: number
  readonly #cluster: boolean
  readonly #prefix: string
  readonly #endedKey: string
  readonly #call: ScriptCaller

  constructor({ url, prefix }: RedisTarget, { timeoutMs, limits, log }: { timeoutMs: number; limits: TaskLimits; log: Log }) {
    this.#cluster = isCluster(url)
    this.#renewalMs = redisRenewalMs(limits.leaseMs)
    const settings = { ...limits, cluster: this.#cluster, renewAfterMs: this.#renewalMs }
    this.#prefix = prefix
    this.#endedKey = prefix + endedName
    this.#redis = connectRedis(url, {
      connectionName: 'notify-api:task',
      enableOfflineQueue: false,
      enableAutoPipelining: true,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      socketTimeout: timeoutMs * commandTimeoutsUntilReconnect,
      scripts: {
        taskEvent: { numberOfKeys: 3, lua: eventScript(settings) },
        taskOpen: { numberOfKeys: 3, lua: openScript(settings) },
        taskClose: { numberOfKeys: 3, lua: closeScript },
        taskMark: { numberOfKeys: 3, lua: markScript },
        taskSilence: { numberOfKeys: 3, lua: silenceScript },
      },
    })
    this.#scripts = scriptsOf(this.#redis)
    this.#call = scriptCaller(this.#redis)
    const failure = new RepeatedFailure(log, 'redis connection of tasks failed')
    this.#redis.on('error', (error: Error) => failure.failed(error))
    this.#redis.on('ready', () => failure.succeeded())
  }

  /** Resolves when the connection is ready, or when the first attempt to connect has failed. */
  untilConnected(): Promise<void> {
    return opened(this.#redis)
  }

  /** Begins the channel, or restores what Redis has lost of the task. Returns the task's status. */
  open(task: TaskIdentity, status: TaskStatus, traceparent?: string): Promise<string> {
    const { memberId: _, ...rest } = task
    const created: TaskEvent = { type: 'created', ...rest }
    const body = tracedBody(traceparent, JSON.stringify(created))
    const keys = this.#keysOf(task)
    return orUnavailable(
      this.#call(keys[0], (redis, runId) => {
        const call: OpenCall = { status, runId }
        return scriptsOf(redis).taskOpen(...keys, JSON.stringify(call), body)
      }),
    )
  }

  /** Appends one event. An empty `progress` of a running task is not published. */
  async append(task: TaskIdentity, event: TaskChange, at: AppendAt): Promise<AppendResult> {
    const { offset, allowRepeat = false, renew = false, traceparent } = at
    const body = JSON.stringify(event)
    const { percent, stage } = event.type === 'progress' ? event : {}
    const call: Omit<EventCall, 'runId'> = {
      body: tracedBody(traceparent, body),
      textBytes: event.type === 'append' ? Buffer.byteLength(event.text) : 0,
      dataBytes: event.type === 'data' ? Buffer.byteLength(body) : 0,
      offset,
      allowRepeat,
      renew,
      quiet: event.type === 'progress' && percent === undefined && stage === undefined,
      percent,
      stage,
    }
    const keys = this.#keysOf(task)
    const reply = await orUnavailable(
      this.#call(keys[0], (redis, runId) => scriptsOf(redis).taskEvent(...keys, ...eventArguments({ ...call, runId }))),
    )
    const [outcome, first = '', second] = reply.split(' ')
    if (outcome === 'ok') return { outcome, position: first, textBytes: Number(second) }
    if (outcome === 'over') return { outcome, status: first, abandonedBy: second }
    if (outcome === 'offset') return { outcome, textBytes: Number(first) }
    if (outcome === 'limit') return { outcome, limit: first, textBytes: Number(second) }
    return { outcome: 'unknown' }
  }

  /**
   * Refuses events from now on. `closer` identifies this attempt to end the task. Returns `closing`, the status with which the task
   * ended before, or null when Redis does not have the task.
   */
  close(task: TaskIdentity, closer: string): Promise<string | null> {
    const call: CloseCall = { closer }
    return orUnavailable(this.#scripts.taskClose(...this.#keysOf(task), JSON.stringify(call)))
  }

  /** Accepts events again. If another attempt has closed the task since, this does nothing. */
  async reopen(task: TaskIdentity, closer: string): Promise<void> {
    await this.#mark(task, { status: 'running', closer })
  }

  /** Records the status of a task whose end is stored in MySQL, and adds it to the ended tasks. */
  async markEnded(task: TaskIdentity, status: TaskStatus): Promise<void> {
    await this.#mark(task, { status, closer: undefined })
    await orUnavailable(
      Promise.all([
        this.#redis.xadd(this.#endedKey, 'MAXLEN', '~', maxEndedEntries, '*', task.taskId, status),
        this.#redis.expire(this.#endedKey, endedSeconds),
      ]),
    )
  }

  /** Returns the tasks that have ended since `position`, in one command for all of them. Tasks of a minute ago may be missing. */
  async endedSince(position: string): Promise<EndedTasks> {
    const streams = await orUnavailable(this.#redis.xread('COUNT', endedPage, 'STREAMS', this.#endedKey, position))
    const entries = streams?.[0]?.[1] ?? []
    const tasks = entries.map(([, [taskId = '', status = '']]) => ({ taskId, status }))
    return { tasks, position: entries.at(-1)?.[0] ?? position }
  }

  /** Deletes the history of an ended task in a minute. To be called after its last publication, which prolongs the history. */
  async expireSoon(task: TaskIdentity): Promise<void> {
    // The hash stays for longer: it refuses late events without a query.
    await orUnavailable(this.#redis.expire(this.#keysOf(task)[0], endedHistorySeconds))
  }

  /** Returns the state of the task after all of its publications. */
  async state(task: TaskIdentity): Promise<TaskState> {
    const publications = await orUnavailable(this.#redis.lrangeBuffer(this.#keysOf(task)[0], 0, -1))
    const { memberId: _, ...name } = task
    const queued: TaskState = { ...name, status: 'queued', text: '', data: [] }
    const fold = new TaskFold(queued)
    for (const publication of publications) {
      fold.add(JSON.parse(decoder.decode(decodePublication(publication).body)) as TaskEvent)
    }
    return fold.state ?? queued
  }

  async progress(task: TaskIdentity): Promise<TaskProgress> {
    const [status = null, percent, stage] = await orUnavailable(
      this.#redis.hmget(this.#keysOf(task)[1], 'status', 'percent', 'stage'),
    )
    return { status, percent: percent ? Number(percent) : undefined, stage: stage ?? undefined }
  }

  /** Returns how long the producer has been silent at least, or null when Redis does not have the task. */
  async silenceMs(task: TaskIdentity): Promise<number | null> {
    const sinceSeenMs = await orUnavailable(this.#scripts.taskSilence(...this.#keysOf(task)))
    return sinceSeenMs === null ? null : Math.max(0, sinceSeenMs - this.#renewalMs)
  }

  disconnect(): void {
    this.#redis.disconnect()
  }

  async #mark(task: TaskIdentity, call: MarkCall): Promise<void> {
    await orUnavailable(this.#scripts.taskMark(...this.#keysOf(task), JSON.stringify(call)))
  }

  /** All keys hash to the slot of the channel on a cluster. */
  #keysOf(task: TaskIdentity): ScriptKeys {
    const channel = taskChannel(task)
    const prefix = this.#prefix
    return [historyKey(channel, prefix), `{${prefix}${channel}}:task`, runKey(this.#cluster, channel, prefix)]
  }
}

function scriptsOf(redis: RedisConnection): TaskScripts {
  return redis as unknown as TaskScripts
}

/** Error replies that a defect of a script causes, rather than an outage or the ACL of Redis. */
const scriptDefect = /^(?:ERR (?!The user executing the script can't )|WRONGTYPE )/

async function orUnavailable<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply
  } catch (error) {
    if (scriptDefect.test((error as Error).message)) throw error
    throw unavailable('Redis does not answer: repeat.', { cause: error })
  }
}
