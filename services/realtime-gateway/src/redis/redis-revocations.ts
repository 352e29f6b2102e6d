import { setTimeout as delay } from 'node:timers/promises'
import { type Log, loggable, type RedisConnection, RepeatedFailure } from '@tidings/chassis'
import { parseRevocationEntry, replyKey, type Revocation, revocationKey, type SessionsReply } from '@tidings/protocol'

/** Entries of the hash that one command reads, about. */
const scanCount = 1_000
const retryMs = 500
/** How long a reply is kept for notify-api, which waits for a shorter time. */
const replySeconds = 10

/** Reads the revocations that notify-api keeps in Redis, and replies to its questions. */
export class RedisRevocations {
  readonly #redis: RedisConnection
  /** Precedes every key. */
  readonly #prefix: string
  readonly #log: Log
  readonly #failure: RepeatedFailure
  #closed = false

  /** `redis` queues commands while Redis is away. */
  constructor(redis: RedisConnection, prefix: string, log: Log) {
    this.#redis = redis
    this.#prefix = prefix
    this.#log = log
    this.#failure = new RepeatedFailure(log, 'revocations not read: trying again')
  }

  /** Resolves to all revocations. Waits while Redis is away; never rejects. */
  async all(): Promise<Revocation[]> {
    for (;;) {
      try {
        const revocations = await this.#scan()
        this.#failure.succeeded()
        return revocations
      } catch (error) {
        if (this.#closed) return []
        this.#failure.failed(error)
        await delay(retryMs)
      }
    }
  }

  /** Appends the reply to a question; a failure is logged. */
  async reply(questionId: string, sessions: SessionsReply): Promise<void> {
    const key = replyKey(questionId, this.#prefix)
    try {
      await this.#redis.multi().rpush(key, JSON.stringify(sessions)).expire(key, replySeconds).exec()
    } catch (error) {
      this.#log.warn({ err: loggable(error) }, 'the question for the sessions of a member was not replied to')
    }
  }

  close(): void {
    this.#closed = true
  }

  async #scan(): Promise<Revocation[]> {
    const revocations: Revocation[] = []
    let cursor = '0'
    do {
      const [next, entries] = await this.#redis.hscan(revocationKey(this.#prefix), cursor, 'COUNT', scanCount)
      for (let at = 0; at < entries.length; at += 2) {
        const revocation = parseRevocationEntry(entries[at] as string, entries[at + 1] as string)
        if (revocation) revocations.push(revocation)
      }
      cursor = next
    } while (cursor !== '0')
    return revocations
  }
}
