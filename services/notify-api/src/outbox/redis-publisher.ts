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
import { Cluster, Command } from 'ioredis'
import { failureOf, failureOfReply, type PublishFailure } from './publish-failure.ts'
import { listeningScript, type PublishCall, publishScript } from './publish-script.ts'

/** Publishes messages to the gateways. */
export interface Publisher {
  /**
   * Publishes in the order of the calls on each channel. Resolves to the number of receivers, which are gateways, or to the failure. Never
   * rejects. When Redis has not replied in time, the message may still be published.
   */
  publish(channel: string, body: string): Promise<number | PublishFailure>
  /** Publishes as {@link publish} does, and resolves to the position. */
  append(channel: string, body: string): Promise<string | PublishFailure>
  /** Resolves to whether gateways listen on each channel; null when Redis refuses the query. Rejects when Redis does not reply in time. */
  listening(channels: readonly string[]): Promise<(boolean | null)[]>
  /** Returns which shard serves the channel. A server that is no Cluster is one shard. */
  shardOf(channel: string): string
  /** Resolves to whether the shard of the channel replies and accepts writes. */
  accepts(channel: string): Promise<boolean>
  /** Resolves to the round trip in seconds. Rejects when Redis does not reply in time. */
  ping(): Promise<number>
  close(): void
}

interface Published {
  readonly receivers: number
  readonly position: string
}

interface PendingPublication {
  readonly channel: string
  readonly body: string
  readonly limit: HistoryLimit | undefined
  readonly resolve: (result: Published | PublishFailure) => void
}

/** The commands that this file uses: its script, PUBLISH and SPUBLISH. */
interface PublisherCommands {
  /** Resolves to what the script returns: for each publication, its receivers and position, or an error reply and an empty text. */
  appendAndPublish(...keysAndArguments: (string | number)[]): Promise<(number | string)[]>
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
  readonly #onPublish: (seconds: number) => void
  #publications: PendingPublication[] = []
  /** On a cluster: the publications of a channel that wait for the call in flight. */
  readonly #sharded = new Map<string, PendingPublication[]>()

  /** `onPublish` is called with the time that Redis took for publications sent together. */
  constructor(
    { url, prefix }: RedisTarget,
    { timeoutMs, log, onPublish }: { timeoutMs: number; log: Log; onPublish: (seconds: number) => void },
  ) {
    this.#onPublish = onPublish
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

  async publish(channel: string, body: string): Promise<number | PublishFailure> {
    const result = await this.#publish(channel, body)
    return 'away' in result ? result : result.receivers
  }

  async append(channel: string, body: string): Promise<string | PublishFailure> {
    const result = await this.#publish(channel, body)
    return 'away' in result ? result : result.position
  }

  async listening(channels: readonly string[]): Promise<(boolean | null)[]> {
    // On a Cluster the channels of one call must share a node.
    const perScript = this.#cluster ? 1 : maxPerScript
    const counts: Promise<number[]>[] = []
    for (let start = 0; start < channels.length; start += perScript) {
      const [first = '', ...others] = channels.slice(start, start + perScript).map((channel) => this.#prefix + channel)
      counts.push(this.#commands.listening(1, historyKey(first), first, ...others))
    }
    try {
      return (await Promise.all(counts)).flat().map((count) => count > 0)
    } catch (error) {
      if (failureOf(error).away) throw error
      return channels.map(() => null)
    }
  }

  shardOf(channel: string): string {
    if (!(this.#redis instanceof Cluster)) return ''
    return this.#redis.slots[new Command('spublish', [this.#prefix + channel]).getSlot()]?.[0] ?? ''
  }

  async accepts(channel: string): Promise<boolean> {
    try {
      // Writes nothing, since there is no such list, but is refused whenever a write is.
      await this.#redis.rpushx(`{${this.#prefix}${channel}}:none`, '')
      return true
    } catch (error) {
      return !failureOf(error).away
    }
  }

  async ping(): Promise<number> {
    const begin = performance.now()
    await this.#redis.ping()
    return (performance.now() - begin) / 1_000
  }

  close(): void {
    this.#redis.disconnect()
  }

  #publish(channel: string, body: string): Promise<Published | PublishFailure> {
    return new Promise((resolve) => {
      // Flush in a microtask: the rows of one commit share one command.
      const length = this.#publications.push({ channel, body, limit: historyLimitOf(channel), resolve })
      if (length === 1) queueMicrotask(() => this.#flush())
    })
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
    while (queue.length > 0) {
      const failure = await this.#appendAndPublish(queue.splice(0, maxPerScript))
      if (failure) settleAll(queue.splice(0), failure)
    }
    this.#sharded.delete(channel)
  }

  /** Every publication of `batch` has the same limit. Resolves to the failure of the last one, if it failed. */
  async #appendAndPublish(batch: readonly PendingPublication[]): Promise<PublishFailure | undefined> {
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
    const results = await this.#result(this.#commands.appendAndPublish(keys.length, ...keys, JSON.stringify(call), ...bodies))
    if (Array.isArray(results)) {
      let failure: PublishFailure | undefined
      for (const [index, { resolve }] of batch.entries()) {
        const receivers = results[2 * index] as number | string
        failure = typeof receivers === 'string' ? failureOfReply(receivers) : undefined
        resolve(failure ?? { receivers: receivers as number, position: results[2 * index + 1] as string })
      }
      return failure
    }
    if (results.away || batch.length === 1) return settleAll(batch, results)
    // Redis refuses the script because of one of its keys: bisect until that publication is isolated.
    const middle = Math.ceil(batch.length / 2)
    const failure = await this.#appendAndPublish(batch.slice(0, middle))
    if (failure?.away) return settleAll(batch.slice(middle), failure)
    return this.#appendAndPublish(batch.slice(middle))
  }

  /** Publishes to a channel without a history. */
  async #publishOnly({ channel, body, resolve }: PendingPublication): Promise<void> {
    const name = this.#prefix + channel
    const result = await this.#result(this.#cluster ? this.#commands.spublish(name, body) : this.#commands.publish(name, body))
    resolve(typeof result === 'number' ? { receivers: result, position: '' } : result)
  }

  async #result<Reply>(reply: Promise<Reply>): Promise<Reply | PublishFailure> {
    const begin = performance.now()
    try {
      return await reply
    } catch (error) {
      return failureOf(error)
    } finally {
      this.#onPublish((performance.now() - begin) / 1_000)
    }
  }
}

/** Nothing that is behind a failed publication on its channel may overtake it. */
function settleAll(publications: readonly PendingPublication[], failure: PublishFailure): PublishFailure {
  for (const { resolve } of publications) resolve(failure)
  return failure
}
