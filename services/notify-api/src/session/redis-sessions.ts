import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { connectRedis, isCluster, type Log, type RedisConnection, type RedisTarget, RepeatedFailure } from '@tidings/chassis'
import {
  type ControlMessage,
  controlChannel,
  replyKey,
  type Revocation,
  revocationEntry,
  revocationKey,
  revocationsComplete,
  SessionsReply,
} from '@tidings/protocol'

/** The sessions of a member on all gateways. */
export interface MemberSessions {
  readonly sessions: SessionsReply
  /** False when a gateway did not reply in time. */
  readonly complete: boolean
}

/** Writes the newer of two entries of each field. Returns how many changed. */
const saveScript = `
local changed = 0
for at = 1, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[at])
  if not known or tonumber(string.match(known, '%d+')) < tonumber(string.match(ARGV[at + 1], '%d+')) then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
    changed = changed + 1
  end
end
return changed`

/** Revocations that are written in one call. */
const batchLength = 500
/** How long the gateways have for their replies. */
const replyMs = 1_000
const pollMs = 5

interface SessionScripts {
  saveRevocations(key: string, ...entries: string[]): Promise<number>
}

/** What notify-api shares with the gateways about sessions: the revocations, and questions. */
export class RedisSessions {
  readonly #redis: RedisConnection
  readonly #cluster: boolean
  /** Precedes every channel and key. */
  readonly #prefix: string
  readonly #revocationKey: string

  constructor({ url, prefix }: RedisTarget, { timeoutMs, log }: { timeoutMs: number; log: Log }) {
    this.#cluster = isCluster(url)
    this.#prefix = prefix
    this.#revocationKey = revocationKey(prefix)
    this.#redis = connectRedis(url, {
      connectionName: 'notify-api:session',
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: timeoutMs,
      scripts: { saveRevocations: { numberOfKeys: 1, lua: saveScript } },
    })
    const failure = new RepeatedFailure(log, 'redis connection of sessions failed')
    this.#redis.on('error', (error: Error) => failure.failed(error))
    this.#redis.on('ready', () => failure.succeeded())
  }

  /** Writes revocations, and resolves to how many Redis did not have. */
  async save(revocations: readonly Revocation[]): Promise<number> {
    const scripts = this.#redis as unknown as SessionScripts
    let changed = 0
    for (let at = 0; at < revocations.length; at += batchLength) {
      const entries = revocations.slice(at, at + batchLength).flatMap(revocationEntry)
      changed += await scripts.saveRevocations(this.#revocationKey, ...entries)
    }
    return changed
  }

  /** Resolves to whether Redis has all revocations, as `complete` said. */
  async isComplete(): Promise<boolean> {
    return (await this.#redis.hexists(this.#revocationKey, revocationsComplete)) === 1
  }

  /** States that all revocations are written. */
  async complete(): Promise<void> {
    await this.#redis.hset(this.#revocationKey, revocationsComplete, '')
  }

  async remove(revocations: readonly Revocation[]): Promise<void> {
    for (let at = 0; at < revocations.length; at += batchLength) {
      const fields = revocations.slice(at, at + batchLength).map((revocation) => revocationEntry(revocation)[0])
      await this.#redis.hdel(this.#revocationKey, ...fields)
    }
  }

  /** Asks all gateways for the sessions of a member. Rejects when Redis does not reply. */
  async of(memberId: Revocation['memberId']): Promise<MemberSessions> {
    const questionId = randomUUID()
    const key = replyKey(questionId, this.#prefix)
    const question: ControlMessage = { type: 'sessions', memberId, questionId }
    const body = JSON.stringify(question)
    const channel = this.#prefix + controlChannel
    const published = this.#cluster ? this.#redis.spublish(channel, body) : this.#redis.publish(channel, body)
    const gateways = Number(await published)
    const deadline = performance.now() + replyMs
    while ((await this.#redis.llen(key)) < gateways && performance.now() < deadline) await delay(pollMs)
    const replies = await this.#redis.lrange(key, 0, -1)
    return {
      sessions: replies
        .flatMap((reply) => SessionsReply.parse(JSON.parse(reply)))
        .toSorted((a, b) => a.connectedAt.localeCompare(b.connectedAt)),
      complete: replies.length >= gateways,
    }
  }

  close(): void {
    this.#redis.disconnect()
  }
}
