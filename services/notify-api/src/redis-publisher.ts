import { connectRedis, isCluster, type Log, type RedisConnection } from '@tidings/chassis'
import { historyKey, historyLimitOf } from '@tidings/protocol'
import { publishScript } from './publish-script.ts'

/** What Redis answered. `position` is undefined on channels without a history. */
export interface Published {
  readonly position: string | undefined
  /** Connections that were listening: gateways with a session of this member. */
  readonly receivers: number
}

/** Carries messages to the gateways. */
export interface Publisher {
  /** In the order of the calls. Rejects when Redis has not answered in time: it may still be published then. */
  publish(channel: string, body: string): Promise<Published>
  /** Round trip in seconds. Rejects when Redis does not answer in time. */
  ping(): Promise<number>
  close(): void
}

interface Waiting {
  readonly channel: string
  readonly body: string
  readonly resolve: (published: Published) => void
  readonly reject: (error: unknown) => void
}

type Reply = readonly [position: string, receivers: number] | number

/** The script and the plain commands, on the connection or in a pipeline. */
interface Commands {
  appendAndPublish(key: string, channel: string, body: string, length: number, seconds: number): Promise<Reply>
  publish(channel: string, body: string): Promise<Reply>
  spublish(channel: string, body: string): Promise<Reply>
}

export class RedisPublisher implements Publisher {
  readonly #redis: RedisConnection
  readonly #cluster: boolean
  readonly #onPublish: (seconds: number) => void
  #waiting: Waiting[] = []

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
      scripts: { appendAndPublish: { numberOfKeys: 1, lua: publishScript(this.#cluster ? 'SPUBLISH' : 'PUBLISH') } },
    })
    let lastError = ''
    this.#redis.on('error', (error: Error) => {
      // Said once, not with every attempt to reconnect.
      if (error.message !== lastError) log.warn({ err: error }, 'redis connection failed')
      lastError = error.message
    })
    this.#redis.on('ready', () => {
      lastError = ''
      log.info('redis connected')
    })
  }

  publish(channel: string, body: string): Promise<Published> {
    return new Promise((resolve, reject) => {
      // All of one tick go in one pipeline: one write, one read.
      if (this.#waiting.push({ channel, body, resolve, reject }) === 1) setImmediate(() => this.#flush())
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
    // A pipeline reaches one node only, and each channel of a cluster has its own.
    void (this.#cluster ? this.#sendEach(waiting) : this.#sendTogether(waiting))
  }

  async #sendTogether(waiting: readonly Waiting[]): Promise<void> {
    const begin = performance.now()
    const pipeline = this.#redis.pipeline()
    for (const one of waiting) void this.#send(pipeline as unknown as Commands, one)
    try {
      const replies = await pipeline.exec()
      this.#onPublish((performance.now() - begin) / 1_000)
      for (const [index, { resolve, reject }] of waiting.entries()) {
        const [error, reply] = replies?.[index] ?? [new Error('the pipeline was not sent'), undefined]
        if (error) reject(error)
        else resolve(publishedOf(reply as Reply))
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error)
    }
  }

  async #sendEach(waiting: readonly Waiting[]): Promise<void> {
    const begin = performance.now()
    const replies = waiting.map(async (one) => {
      try {
        one.resolve(publishedOf(await this.#send(this.#redis as unknown as Commands, one)))
      } catch (error) {
        one.reject(error)
      }
    })
    await Promise.all(replies)
    this.#onPublish((performance.now() - begin) / 1_000)
  }

  #send(commands: Commands, { channel, body }: Waiting): Promise<Reply> {
    const limit = historyLimitOf(channel)
    if (limit) return commands.appendAndPublish(historyKey(channel), channel, body, limit.length, limit.seconds)
    return this.#cluster ? commands.spublish(channel, body) : commands.publish(channel, body)
  }
}

function publishedOf(reply: Reply): Published {
  return typeof reply === 'number' ? { position: undefined, receivers: reply } : { position: reply[0], receivers: reply[1] }
}
