import {
  connectRedis,
  isCluster,
  type Log,
  opened,
  type RedisConnection,
  type RedisTarget,
  RepeatedFailure,
  runIdOf,
  runKey,
} from '@tidings/chassis'
import { type HistoryLimit, historyKey, historyLimitOf } from '@tidings/protocol'
import { listeningScript, type PublishCall, publishScript } from './publish-script.ts'

/** Publishes messages to the gateways. */
export interface Publisher {
  /**
   * Publishes in the order of the calls on each channel. Rejects when Redis refuses or has not replied in time; in the latter case the
   * message may still be published. Resolves to the position.
   */
  publish(channel: string, body: string): Promise<string>
  /** Resolves to whether gateways listen on each channel; null when Redis refuses the query. Rejects when Redis does not reply in time. */
  listening(channels: readonly string[]): Promise<(boolean | null)[]>
  /** Resolves to the round trip in seconds. Rejects when Redis does not reply in time. */
  ping(): Promise<number>
  close(): void
}

interface Pending<Result> {
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

interface PendingPublication extends Pending<string> {
  readonly channel: string
  readonly body: string
  readonly limit: HistoryLimit | undefined
}

interface PendingQuery extends Pending<(boolean | null)[]> {
  readonly channels: readonly string[]
}

/** The commands that this file uses: its two scripts, PUBLISH and SPUBLISH. */
interface PublisherCommands {
  appendAndPublish(...keysAndArguments: (string | number)[]): Promise<string[]>
  listening(...keysAndArguments: (string | number)[]): Promise<number[]>
  publish(channel: string, body: string): Promise<number>
  spublish(channel: string, body: string): Promise<number>
}

/** Most publications in one script, which blocks Redis for about 10 μs each. */
const maxPerScript = 100
/** A connection with a pending command is closed after receiving nothing for this many command timeouts. */
const socketTimeoutFactor = 5

export class RedisPublisher implements Publisher {
  readonly #redis: RedisConnection
  readonly #commands: PublisherCommands
  readonly #cluster: boolean
  /** Precedes every channel and key. */
  readonly #prefix: string
  readonly #runId: () => string | undefined
  readonly #queryFailure: RepeatedFailure
  readonly #onPublish: (seconds: number) => void
  #publications: PendingPublication[] = []
  #queries: PendingQuery[] = []
  /** On a cluster: the publications of a channel that wait for the call in flight. */
  readonly #sharded = new Map<string, PendingPublication[]>()

  /** `onPublish` is called with the time that Redis took for publications sent together. */
  constructor(
    { url, prefix }: RedisTarget,
    { timeoutMs, log, onPublish }: { timeoutMs: number; log: Log; onPublish: (seconds: number) => void },
  ) {
    this.#onPublish = onPublish
    this.#queryFailure = new RepeatedFailure(log, 'redis refuses to list subscribers: online is unknown')
    this.#cluster = isCluster(url)
    this.#prefix = prefix
    this.#redis = connectRedis(url, {
      connectionName: 'notify-api',
      // A publication that cannot be sent now stays in the outbox, not in a queue of the client.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      socketTimeout: timeoutMs * socketTimeoutFactor,
      scripts: {
        appendAndPublish: { lua: publishScript(this.#cluster ? 'SPUBLISH' : 'PUBLISH') },
        listening: { lua: listeningScript(this.#cluster ? 'SHARDNUMSUB' : 'NUMSUB') },
      },
    })
    this.#commands = this.#redis as unknown as PublisherCommands
    this.#runId = runIdOf(this.#redis)
    const connectionFailure = new RepeatedFailure(log, 'redis connection failed')
    this.#redis.on('error', (error: Error) => connectionFailure.failed(error))
    this.#redis.on('ready', () => {
      connectionFailure.succeeded()
      log.info('redis connected')
    })
  }

  /** Resolves when the connection can be used, or when the first attempt has failed. */
  untilConnected(): Promise<void> {
    return opened(this.#redis)
  }

  publish(channel: string, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      // Flush in a microtask: the rows of one commit share one command, which is sent before any response.
      const length = this.#publications.push({ channel, body, limit: historyLimitOf(channel), resolve, reject })
      if (length === 1) queueMicrotask(() => this.#flush())
    })
  }

  listening(channels: readonly string[]): Promise<(boolean | null)[]> {
    return new Promise((resolve, reject) => {
      // Query after the I/O of this turn: requests that arrived together share one query, sent after their INSERTs.
      const length = this.#queries.push({ channels, resolve, reject })
      if (length === 1) setImmediate(() => void this.#query())
    })
  }

  async ping(): Promise<number> {
    const begin = performance.now()
    await this.#redis.ping()
    return (performance.now() - begin) / 1_000
  }

  close(): void {
    this.#redis.disconnect()
  }

  #flush(): void {
    const publications = this.#publications
    this.#publications = []
    const scripts = new Map<HistoryLimit, PendingPublication[]>()
    for (const publication of publications) {
      if (!publication.limit) void this.#publishOnly(publication)
      else if (this.#cluster) this.#publishSharded(publication)
      else {
        const batch = scripts.get(publication.limit) ?? []
        scripts.set(publication.limit, batch)
        if (batch.push(publication) < maxPerScript) continue
        void this.#appendAndPublish(batch)
        scripts.delete(publication.limit)
      }
    }
    for (const batch of scripts.values()) void this.#appendAndPublish(batch)
  }

  /** Keeps one call per channel in flight: a call may be redirected to another node, and the next one would then overtake it. */
  #publishSharded(publication: PendingPublication): void {
    const queue = this.#sharded.get(publication.channel)
    if (queue) queue.push(publication)
    else void this.#publishQueue(publication.channel, [publication])
  }

  async #publishQueue(channel: string, queue: PendingPublication[]): Promise<void> {
    this.#sharded.set(channel, queue)
    while (queue.length > 0) await this.#appendAndPublish(queue.splice(0, maxPerScript))
    this.#sharded.delete(channel)
  }

  /** Every publication of `batch` has the same limit. */
  #appendAndPublish(batch: readonly PendingPublication[]): Promise<void> {
    const [first] = batch
    const { length: maxLength = 0, seconds = 0 } = first?.limit ?? {}
    const call: PublishCall = {
      maxLength,
      seconds: String(seconds),
      runId: this.#runId(),
      runSeconds: this.#cluster ? seconds : 0,
    }
    const prefix = this.#prefix
    const run = runKey(this.#cluster, first?.channel ?? '', prefix)
    const keys = [...batch.map(({ channel }) => historyKey(channel, prefix)), run]
    const bodies = batch.map(({ body }) => body)
    return this.#settle(batch, () => this.#commands.appendAndPublish(keys.length, ...keys, JSON.stringify(call), ...bodies))
  }

  /** Publishes to a channel without a history. */
  #publishOnly(publication: PendingPublication): Promise<void> {
    const { channel, body } = publication
    return this.#settle([publication], async () => {
      const name = this.#prefix + channel
      await (this.#cluster ? this.#commands.spublish(name, body) : this.#commands.publish(name, body))
      return ['']
    })
  }

  /** Sends `command` and settles the publications in it. */
  async #settle(publications: readonly PendingPublication[], command: () => Promise<readonly string[]>): Promise<void> {
    const begin = performance.now()
    try {
      const positions = await command()
      publications.forEach(({ resolve }, index) => resolve(positions[index] as string))
    } catch (error) {
      for (const { reject } of publications) reject(error)
    }
    this.#onPublish((performance.now() - begin) / 1_000)
  }

  async #query(): Promise<void> {
    const queries = this.#queries
    this.#queries = []
    try {
      const receivers = await this.#receivers(queries.flatMap(({ channels }) => channels))
      this.#queryFailure.succeeded()
      let resolved = 0
      for (const { channels, resolve } of queries) {
        resolve(receivers.slice(resolved, (resolved += channels.length)).map((count) => count > 0))
      }
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError') {
        // Redis replies, so publications may succeed: a Redis user without the PUBSUB permission loses only `online`.
        this.#queryFailure.failed(error)
        for (const { channels, resolve } of queries) resolve(channels.map(() => null))
      } else for (const { reject } of queries) reject(error)
    }
  }

  async #receivers(channels: readonly string[]): Promise<number[]> {
    const perScript = this.#cluster ? 1 : maxPerScript
    const counts: Promise<number[]>[] = []
    for (let start = 0; start < channels.length; start += perScript) {
      const some = channels.slice(start, start + perScript)
      const names = some.map((channel) => this.#prefix + channel)
      counts.push(this.#commands.listening(1, historyKey(some[0] as string, this.#prefix), ...names))
    }
    return (await Promise.all(counts)).flat()
  }
}
