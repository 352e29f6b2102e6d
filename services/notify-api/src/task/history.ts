import { connectRedis, isCluster, type Log, loggable, opened, type RedisConnection } from '@tidings/chassis'
import { historyKey, historyLimits, type TaskEvent, type TaskProducerEvent, type TaskStatus } from '@tidings/protocol'
import { unavailable } from '../http/problem.ts'
import { runIdOf, runNote } from '../outbox/publish-script.ts'
import { taskChannel } from './store.ts'
import type { TaskName } from './row.ts'
import { closeScript, eventScript, markScript, openScript, silenceScript } from './script.ts'

export interface TaskLimits {
  readonly maxTextBytes: number
  readonly maxDataBytes: number
  readonly maxEvents: number
  readonly leaseMs: number
}

/** Where text goes. */
export interface Place {
  /** In bytes: only if the text ends there. Without it, wherever that is. */
  readonly offset?: number | undefined
  /** The same may have been appended there just before, when only the answer was lost; then it is not appended again. */
  readonly repeated?: boolean
}

/** What became of an event. `renew`: MySQL has not been told for a while that the producer is alive. */
export type Accepted =
  | { readonly outcome: 'ok'; readonly position: string; readonly textBytes: number; readonly renew: boolean }
  | { readonly outcome: 'unknown' }
  | { readonly outcome: 'over'; readonly status: string }
  | { readonly outcome: 'offset'; readonly textBytes: number }
  | { readonly outcome: 'limit'; readonly limit: string; readonly textBytes: number }

/** What is known of a running task without reading its history. */
export interface TaskPulse {
  readonly status: string | null
  readonly percent: number | undefined
  readonly stage: string | undefined
}

type Keys = [history: string, task: string, note: string]

interface Commands {
  taskEvent(...args: [...Keys, ...(string | number)[]]): Promise<[string, ...(string | number)[]]>
  taskOpen(...args: [...Keys, ...(string | number)[]]): Promise<string>
  taskClose(...args: [...Keys, string]): Promise<string | null>
  taskMark(...args: [...Keys, string, string]): Promise<number>
  taskSilence(...args: Keys): Promise<number | null>
}

const { seconds } = historyLimits.taskEvents
/** An end that is not written so long after its close was given up: events are let in again. Longer than an end may take. */
export const closingMs = 15_000

/**
 * The channel of each running task with its history, which is the truth about it until its end is written. Every call rejects with
 * the problem `unavailable` when Redis does not answer in time; what was asked may have happened then.
 */
export class TaskHistory {
  readonly #redis: RedisConnection
  readonly #commands: Commands
  readonly #limits: TaskLimits
  readonly #cluster: boolean
  readonly #runId: () => string

  constructor(url: string, { timeoutMs, limits, log }: { timeoutMs: number; limits: TaskLimits; log: Log }) {
    this.#cluster = isCluster(url)
    const publish = this.#cluster ? 'SPUBLISH' : 'PUBLISH'
    this.#limits = limits
    this.#redis = connectRedis(url, {
      connectionName: 'notify-api:task',
      enableOfflineQueue: false,
      enableAutoPipelining: true,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      socketTimeout: timeoutMs * 5,
      scripts: {
        taskEvent: { numberOfKeys: 3, lua: eventScript(publish) },
        taskOpen: { numberOfKeys: 3, lua: openScript(publish) },
        taskClose: { numberOfKeys: 3, lua: closeScript },
        taskMark: { numberOfKeys: 3, lua: markScript },
        taskSilence: { numberOfKeys: 3, lua: silenceScript },
      },
    })
    this.#commands = this.#redis as unknown as Commands
    this.#runId = runIdOf(this.#redis)
    let lastError = ''
    this.#redis.on('error', (error: Error) => {
      if (error.message !== lastError) log.warn({ err: loggable(error) }, 'redis connection of tasks failed')
      lastError = error.message
    })
    this.#redis.on('ready', () => {
      lastError = ''
    })
  }

  /** Resolves when there is a connection to Redis, or none could be had. */
  opened(): Promise<void> {
    return opened(this.#redis)
  }

  /** Begins the channel, or finds out anew how it stands; answers the task's status. */
  open(name: TaskName, status: TaskStatus): Promise<string> {
    const { memberId: _, ...rest } = name
    const created: TaskEvent = { type: 'created', ...rest }
    return answered(
      this.#commands.taskOpen(
        ...this.#keysOf(name),
        taskChannel(name),
        JSON.stringify(created),
        status,
        seconds,
        this.#runId(),
        this.#keepSeconds,
      ),
    )
  }

  /** Appends one event. Nothing is published for an empty `progress` of a running task. */
  async event(name: TaskName, event: TaskProducerEvent, { offset, repeated = false }: Place): Promise<Accepted> {
    const body = JSON.stringify(event)
    const textBytes = event.type === 'append' ? Buffer.byteLength(event.text) : 0
    const dataBytes = event.type === 'data' ? Buffer.byteLength(body) : 0
    const { percent = '', stage = '' } = event.type === 'progress' ? event : {}
    const quiet = event.type === 'progress' && percent === '' && stage === ''
    const { maxTextBytes, maxDataBytes, maxEvents, leaseMs } = this.#limits
    const [outcome, first, second, third] = await answered(
      this.#commands.taskEvent(
        ...this.#keysOf(name),
        taskChannel(name),
        body,
        textBytes,
        dataBytes,
        offset ?? '',
        percent,
        stage,
        quiet ? 1 : 0,
        maxTextBytes,
        maxDataBytes,
        maxEvents,
        seconds,
        Math.floor(leaseMs / 3),
        repeated ? 1 : 0,
        closingMs,
        this.#runId(),
        this.#keepSeconds,
      ),
    )
    if (outcome === 'ok') return { outcome, position: String(first), textBytes: Number(second), renew: third === 1 }
    if (outcome === 'over') return { outcome, status: String(first) }
    if (outcome === 'offset') return { outcome, textBytes: Number(first) }
    if (outcome === 'limit') return { outcome, limit: String(first), textBytes: Number(second) }
    return { outcome: 'unknown' }
  }

  /** Lets no event in any more. Answers `closing`, how the task has ended before, or null when it is not known here. */
  close(name: TaskName, closer: string): Promise<string | null> {
    return answered(this.#commands.taskClose(...this.#keysOf(name), closer))
  }

  /** Lets events in again, unless somebody else has closed since. */
  async reopen(name: TaskName, closer: string): Promise<void> {
    await answered(this.#commands.taskMark(...this.#keysOf(name), 'running', closer))
  }

  /** Its end is written. */
  async settle(name: TaskName, status: TaskStatus): Promise<void> {
    await answered(this.#commands.taskMark(...this.#keysOf(name), status, ''))
  }

  /** Bodies of all publications, oldest first. */
  async read(name: TaskName): Promise<string[]> {
    const publications = await answered(this.#redis.lrange(this.#keysOf(name)[0], 0, -1))
    return publications.map((publication) => publication.slice(publication.indexOf('\n') + 1))
  }

  async pulse(name: TaskName): Promise<TaskPulse> {
    const [status = null, percent, stage] = await answered(this.#redis.hmget(this.#keysOf(name)[1], 'status', 'percent', 'stage'))
    return { status, percent: percent ? Number(percent) : undefined, stage: stage ?? undefined }
  }

  /** How long the producer has not been heard of; null when it is not known here. */
  silenceMs(name: TaskName): Promise<number | null> {
    return answered(this.#commands.taskSilence(...this.#keysOf(name)))
  }

  disconnect(): void {
    this.#redis.disconnect()
  }

  /** The note of a whole server is kept for ever. */
  get #keepSeconds(): number {
    return this.#cluster ? seconds : 0
  }

  /** On a cluster all on the channel's slot. */
  #keysOf(name: TaskName): Keys {
    const channel = taskChannel(name)
    return [historyKey(channel), `{${channel}}:task`, runNote(this.#cluster, channel)]
  }
}

async function answered<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply
  } catch (error) {
    // A defect of a script, not an outage.
    if (/^(?:ERR|WRONGTYPE) /.test((error as Error).message)) throw error
    throw unavailable('Redis does not answer: repeat.', { cause: error })
  }
}
