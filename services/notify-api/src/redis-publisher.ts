import { connectRedis, isCluster, type Log, opened, type RedisConnection } from '@tidings/chassis'
import { type HistoryLimit, historyKey, historyLimitOf } from '@tidings/protocol'
import { loggable } from './loggable.ts'
import { publishScript, runIdOf, runNote } from './publish-script.ts'

/** Carries messages to the gateways. */
export interface Publisher {
  /**
   * In the order of the calls on each channel. Answers how many connections were listening: gateways with a session of this member.
   * Rejects when Redis has not answered in time: it may still be published then.
   */
  publish(channel: string, body: string): Promise<number>
  /** Round trip in seconds. Rejects when Redis does not answer in time. */
  ping(): Promise<number>
  close(): void
}

interface Waiting {
  readonly channel: string
  readonly body: string
  readonly limit: HistoryLimit | undefined
  readonly resolve: (receivers: number) => void
  readonly reject: (error: unknown) => void
}

/** What the connection has besides the commands of the library. */
interface Commands {
  appendAndPublish(...keysAndArguments: (string | number)[]): Promise<number[]>
  publish(channel: string, body: string): Promise<number>
  spublish(channel: string, body: string): Promise<number>
}

/** One run of the script holds up everybody else at Redis: some 10 us a publication. */
const maxPerScript = 100

export class RedisPublisher implements Publisher {
  readonly #redis: RedisConnection
  readonly #commands: Commands
  readonly #cluster: boolean
  readonly #runId: () => string
  readonly #onPublish: (seconds: number) => void
  #waiting: Waiting[] = []
  /** On a cluster: what waits behind the call of its channel that is on its way. */
  readonly #sharded = new Map<string, Waiting[]>()

  /** `onPublish` is told how long Redis took to answer for what was sent together. */
  constructor(url: string, { timeoutMs, log, onPublish }: { timeoutMs: number; log: Log; onPublish: (seconds: number) => void }) {
    this.#onPublish = onPublish
    this.#cluster = isCluster(url)
    this.#redis = connectRedis(url, {
      connectionName: 'notify-api',
      // A publication that cannot go now stays in the outbox: nothing may wait in a queue of the client.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      socketTimeout: timeoutMs * 5,
      scripts: { appendAndPublish: { lua: publishScript(this.#cluster ? 'SPUBLISH' : 'PUBLISH') } },
    })
    this.#commands = this.#redis as unknown as Commands
    this.#runId = runIdOf(this.#redis)
    let lastError = ''
    this.#redis.on('error', (error: Error) => {
      // Said once, not with every attempt to reconnect.
      if (error.message !== lastError) log.warn({ err: loggable(error) }, 'redis connection failed')
      lastError = error.message
    })
    this.#redis.on('ready', () => {
      lastError = ''
      log.info('redis connected')
    })
  }

  /** Resolves when there is a connection to Redis, or none could be had. */
  opened(): Promise<void> {
    return opened(this.#redis)
  }

  publish(channel: string, body: string): Promise<number> {
    return new Promise((resolve, reject) => {
      // All that one commit has stored go together: one command, one write, one read.
      const length = this.#waiting.push({ channel, body, limit: historyLimitOf(channel), resolve, reject })
      if (length === 1) process.nextTick(() => this.#flush())
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
    const waiting = this.#waiting
    this.#waiting = []
    const scripts = new Map<HistoryLimit, Waiting[]>()
    for (const one of waiting) {
      if (!one.limit) void this.#send([one], () => this.#publishPlainly(one))
      else if (this.#cluster) this.#publishSharded(one)
      else {
        const together = scripts.get(one.limit) ?? []
        scripts.set(one.limit, together)
        if (together.push(one) < maxPerScript) continue
        void this.#appendAndPublish(together)
        scripts.delete(one.limit)
      }
    }
    for (const together of scripts.values()) void this.#appendAndPublish(together)
  }

  /** One script reaches one node only, and a redirected call may be overtaken: a channel has one call on its way at a time. */
  #publishSharded(one: Waiting): void {
    const queue = this.#sharded.get(one.channel)
    if (queue) queue.push(one)
    else void this.#publishInTurn(one.channel, [one])
  }

  async #publishInTurn(channel: string, queue: Waiting[]): Promise<void> {
    this.#sharded.set(channel, queue)
    while (queue.length > 0) await this.#appendAndPublish(queue.splice(0, maxPerScript))
    this.#sharded.delete(channel)
  }

  /** All with the same limit. */
  #appendAndPublish(together: readonly Waiting[]): Promise<void> {
    const [first] = together
    const { length = 0, seconds = 0 } = first?.limit ?? {}
    const keys = together.map(({ channel }) => historyKey(channel))
    const note = runNote(this.#cluster, first?.channel ?? '')
    const noteSeconds = this.#cluster ? seconds : 0
    const bodies = together.map(({ body }) => body)
    return this.#send(together, () =>
      this.#commands.appendAndPublish(keys.length + 1, ...keys, note, length, seconds, this.#runId(), noteSeconds, ...bodies),
    )
  }

  async #publishPlainly({ channel, body }: Waiting): Promise<number[]> {
    return [await (this.#cluster ? this.#commands.spublish(channel, body) : this.#commands.publish(channel, body))]
  }

  async #send(waiting: readonly Waiting[], command: () => Promise<number[]>): Promise<void> {
    const begin = performance.now()
    try {
      const receivers = await command()
      for (const [index, { resolve }] of waiting.entries()) resolve(receivers[index] as number)
    } catch (error) {
      for (const { reject } of waiting) reject(error)
    }
    this.#onPublish((performance.now() - begin) / 1_000)
  }
}
