import { connectRedis, isCluster, type Log, loggable, opened, type RedisConnection } from '@tidings/chassis'
import { type HistoryLimit, historyKey, historyLimitOf } from '@tidings/protocol'
import { listeningScript, type PublishCall, publishScript, runIdKey, runIdOf } from './publish-script.ts'

/** Carries messages to the gateways. */
export interface Publisher {
  /** In the order of the calls on each channel. Rejects when Redis has not answered in time: it may still be published then. */
  publish(channel: string, body: string): Promise<void>
  /** Whether gateways listen on each channel; null when Redis refuses to say. Rejects when it has not answered in time. */
  listening(channels: readonly string[]): Promise<(boolean | null)[]>
  /** Round trip in seconds. Rejects when Redis does not answer in time. */
  ping(): Promise<number>
  close(): void
}

interface Waiting<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

interface Publication extends Waiting<void> {
  readonly channel: string
  readonly body: string
  readonly limit: HistoryLimit | undefined
}

interface Question extends Waiting<(boolean | null)[]> {
  readonly channels: readonly string[]
}

/** What the connection has besides the commands of the library. */
interface Commands {
  appendAndPublish(...keysAndArguments: (string | number)[]): Promise<null>
  listening(...keysAndArguments: (string | number)[]): Promise<number[]>
  publish(channel: string, body: string): Promise<number>
  spublish(channel: string, body: string): Promise<number>
}

/** One run of the script holds up everybody else at Redis: some 10 us a publication. */
const maxPerScript = 100

export class RedisPublisher implements Publisher {
  readonly #redis: RedisConnection
  readonly #commands: Commands
  readonly #cluster: boolean
  readonly #runId: () => string | undefined
  readonly #log: Log
  readonly #onPublish: (seconds: number) => void
  /** Of the question who listens; said once. */
  #refusal = ''
  #publications: Publication[] = []
  #questions: Question[] = []
  /** On a cluster: what waits behind the call of its channel that is on its way. */
  readonly #sharded = new Map<string, Publication[]>()

  /** `onPublish` is told how long Redis took to answer for what was sent together. */
  constructor(url: string, { timeoutMs, log, onPublish }: { timeoutMs: number; log: Log; onPublish: (seconds: number) => void }) {
    this.#log = log
    this.#onPublish = onPublish
    this.#cluster = isCluster(url)
    this.#redis = connectRedis(url, {
      connectionName: 'notify-api',
      // A publication that cannot go now stays in the outbox: nothing may wait in a queue of the client.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      socketTimeout: timeoutMs * 5,
      scripts: {
        appendAndPublish: { lua: publishScript(this.#cluster ? 'SPUBLISH' : 'PUBLISH') },
        listening: { lua: listeningScript(this.#cluster ? 'SHARDNUMSUB' : 'NUMSUB') },
      },
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

  publish(channel: string, body: string): Promise<void> {
    return new Promise((resolve, reject) => {
      // All that one commit has stored go together, and before anybody is answered: one command, one write, one read.
      const length = this.#publications.push({ channel, body, limit: historyLimitOf(channel), resolve, reject })
      if (length === 1) queueMicrotask(() => this.#flush())
    })
  }

  listening(channels: readonly string[]): Promise<(boolean | null)[]> {
    return new Promise((resolve, reject) => {
      // Asked for all that arrived together, after what they came for is on its way.
      const length = this.#questions.push({ channels, resolve, reject })
      if (length === 1) setImmediate(() => void this.#ask())
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
    const scripts = new Map<HistoryLimit, Publication[]>()
    for (const one of publications) {
      if (!one.limit) void this.#publishPlainly(one)
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
  #publishSharded(one: Publication): void {
    const queue = this.#sharded.get(one.channel)
    if (queue) queue.push(one)
    else void this.#publishInTurn(one.channel, [one])
  }

  async #publishInTurn(channel: string, queue: Publication[]): Promise<void> {
    this.#sharded.set(channel, queue)
    while (queue.length > 0) await this.#appendAndPublish(queue.splice(0, maxPerScript))
    this.#sharded.delete(channel)
  }

  /** All with the same limit. */
  #appendAndPublish(together: readonly Publication[]): Promise<void> {
    const [first] = together
    const { length: maxLength = 0, seconds = 0 } = first?.limit ?? {}
    const call: PublishCall = {
      maxLength,
      seconds: String(seconds),
      runId: this.#runId(),
      runIdSeconds: this.#cluster ? seconds : 0,
    }
    const keys = [...together.map(({ channel }) => historyKey(channel)), runIdKey(this.#cluster, first?.channel ?? '')]
    const bodies = together.map(({ body }) => body)
    return this.#timed(together, () => this.#commands.appendAndPublish(keys.length, ...keys, JSON.stringify(call), ...bodies))
  }

  #publishPlainly(one: Publication): Promise<void> {
    const { channel, body } = one
    return this.#timed([one], () =>
      this.#cluster ? this.#commands.spublish(channel, body) : this.#commands.publish(channel, body),
    )
  }

  async #timed(publications: readonly Publication[], command: () => Promise<unknown>): Promise<void> {
    const begin = performance.now()
    try {
      await command()
      for (const { resolve } of publications) resolve()
    } catch (error) {
      for (const { reject } of publications) reject(error)
    }
    this.#onPublish((performance.now() - begin) / 1_000)
  }

  async #ask(): Promise<void> {
    const questions = this.#questions
    this.#questions = []
    try {
      const receivers = await this.#receivers(questions.flatMap(({ channels }) => channels))
      let answered = 0
      for (const { channels, resolve } of questions) {
        resolve(receivers.slice(answered, (answered += channels.length)).map((count) => count > 0))
      }
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError') this.#refuse(error, questions)
      else for (const { reject } of questions) reject(error)
    }
  }

  /** Redis answers, and so publications may go: a user without the permission PUBSUB only does without the answer. */
  #refuse(error: Error, questions: readonly Question[]): void {
    if (error.message !== this.#refusal) this.#log.warn({ err: loggable(error) }, 'redis does not say who listens')
    this.#refusal = error.message
    for (const { channels, resolve } of questions) resolve(channels.map(() => null))
  }

  async #receivers(channels: readonly string[]): Promise<number[]> {
    const perScript = this.#cluster ? 1 : maxPerScript
    const answers: Promise<number[]>[] = []
    for (let start = 0; start < channels.length; start += perScript) {
      const some = channels.slice(start, start + perScript)
      answers.push(this.#commands.listening(1, historyKey(some[0] as string), ...some))
    }
    return (await Promise.all(answers)).flat()
  }
}
