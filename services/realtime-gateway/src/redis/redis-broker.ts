import {
  connectRedis,
  isCluster,
  type Log,
  loggable,
  type RedisConnection,
  type RedisTarget,
  RepeatedFailure,
} from '@tidings/chassis'
import { historyKey, type Position } from '@tidings/protocol'
import { Cluster } from 'ioredis'
import { type Broker, ChannelRefusedError, type Receiver } from './broker.ts'
import { canaryScript } from './canary-script.ts'
import { ClusterSubscriber } from './cluster-subscriber.ts'
import { historyScript, lastScript } from './history-script.ts'
import { readPublication } from './read-publication.ts'
import { type HistoryListener, RedisHistory } from './redis-history.ts'
import { RedisRevocations } from './redis-revocations.ts'
import { Subscriber, type SubscriberListener } from './subscriber.ts'
import { silenceMs, subscriberOptions } from './subscriber-options.ts'

/** One channel that is listened to, or is about to be. */
interface Listening {
  readonly receiver: Receiver
  readonly onRefused: (() => void) | undefined
  /** The pending `listen`; undefined when it has resolved. */
  pending: { resolve(last: Position): void; reject(error: ChannelRefusedError): void } | undefined
  /** Unix ms; undefined while the channel is subscribed to, and until it first is. */
  lostAt: number | undefined
}

/** The script of `canary-script.ts`, as ioredis defines it on a connection. */
interface CanaryScript {
  appendCanary(history: string, body: string): Promise<null>
}

/** Name of a Redis that is no Cluster, and prefix of the shards of one. */
const shardName = 'redis'
/** Refused channels of clients that are remembered, so that each is logged once. */
const maxRemembered = 1_000

/** Redis Pub/Sub, sharded on a Cluster. Histories are read on a second connection. */
export class RedisBroker implements Broker, SubscriberListener, HistoryListener {
  readonly history: RedisHistory
  readonly revocations: RedisRevocations
  readonly #log: Log
  /** Precedes every channel and key. */
  readonly #prefix: string
  readonly #subscriber: Subscriber | ClusterSubscriber
  readonly #commands: RedisConnection
  readonly #channels = new Map<string, Listening>()
  /** Channels of clients that Redis refused since it last confirmed them; a bounded number, for the log. */
  readonly #refused = new Set<string>()
  /** Channels of the gateway itself that Redis refuses. */
  readonly #refusedOwn = new Set<string>()

  constructor({ url, prefix }: RedisTarget, log: Log) {
    this.#prefix = prefix
    this.#log = log
    // Commands queue in the connection while Redis is away, so that callers need not retry.
    this.#commands = connectRedis(url, {
      connectionName: 'realtime-gateway:history',
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      socketTimeout: silenceMs,
      enableAutoPipelining: true,
      scripts: {
        historyAfter: { numberOfKeys: 2, lua: historyScript },
        historyLast: { lua: lastScript },
        appendCanary: { numberOfKeys: 1, lua: canaryScript(isCluster(url) ? 'SPUBLISH' : 'PUBLISH') },
      },
    })
    this.history = new RedisHistory(this.#commands, { cluster: isCluster(url), prefix, listener: this, log })
    this.revocations = new RedisRevocations(this.#commands, prefix, log)
    this.#subscriber =
      this.#commands instanceof Cluster
        ? new ClusterSubscriber({ url, prefix, cluster: this.#commands, listener: this, log })
        : new Subscriber({ redis: connectRedis(url, subscriberOptions), prefix, sharded: false, listener: this, log })
    const failure = new RepeatedFailure(log, 'redis error')
    this.#commands.on('error', (error: Error) => failure.failed(error))
    this.#commands.on('ready', () => failure.succeeded())
  }

  get shards(): readonly string[] {
    return this.#subscriber instanceof Subscriber ? [shardName] : this.#subscriber.addresses.map(shardAt)
  }

  get refusing(): readonly string[] {
    return [...this.#refusedOwn].map((channel) => this.shardOf(channel) ?? shardName)
  }

  shardOf(channel: string): string | undefined {
    if (this.#subscriber instanceof Subscriber) return shardName
    const address = this.#subscriber.addressOf(channel)
    return address === undefined ? undefined : shardAt(address)
  }

  listen(channel: string, receiver: Receiver, onRefused?: () => void): Promise<Position> {
    return new Promise((resolve, reject) => {
      this.#channels.set(channel, { receiver, onRefused, pending: { resolve, reject }, lostAt: undefined })
      this.#subscriber.add(channel)
    })
  }

  unlisten(channel: string): void {
    this.#channels.delete(channel)
    this.#refusedOwn.delete(channel)
    this.#subscriber.remove(channel)
  }

  async appendCanary(channel: string, body: string): Promise<void> {
    await (this.#commands as unknown as CanaryScript).appendCanary(historyKey(channel, this.#prefix), body)
  }

  async close(): Promise<void> {
    this.history.close()
    this.revocations.close()
    this.#subscriber.close()
    this.#commands.disconnect()
  }

  received(channel: string, payload: Buffer): void {
    const listening = this.#channels.get(channel)
    // Dropped until the channel is confirmed: then its history is read, which holds everything in order.
    if (listening && (listening.pending || listening.lostAt === undefined)) listening.receiver.receive(readPublication(payload))
  }

  subscribed(channels: readonly string[]): void {
    const now = Date.now()
    for (const channel of channels) {
      const listening = this.#channels.get(channel)
      if (!listening) continue
      this.#refused.delete(channel)
      this.#refusedOwn.delete(channel)
      const { lostAt, pending } = listening
      listening.lostAt = undefined
      if (lostAt !== undefined) listening.receiver.repair(lostAt)
      // Confirmed once more without a loss that was noticed.
      else if (!pending) listening.receiver.repair(now - silenceMs)
    }
    void this.#resolvePositions(channels)
  }

  refused(channel: string, error: Error): boolean {
    const listening = this.#channels.get(channel)
    if (!listening) return false
    const retry = this.#refuse(channel, listening, error)
    if (retry && !listening.pending) listening.lostAt ??= Date.now() - silenceMs
    return retry
  }

  historyRefused(channel: string, error: Error): boolean {
    const listening = this.#channels.get(channel)
    if (!listening) return false
    const retry = this.#refuse(channel, listening, error)
    if (!retry) this.#subscriber.remove(channel)
    return retry
  }

  historyPermitted(channel: string): void {
    this.#refusedOwn.delete(channel)
  }

  /** Ends the listening to a channel of a client. Returns true for a channel of the gateway itself, which is tried again. */
  #refuse(channel: string, { onRefused, pending }: Listening, error: Error): boolean {
    this.#logRefusal(channel, error, onRefused ? this.#refused : this.#refusedOwn)
    if (!onRefused) return true
    this.#channels.delete(channel)
    if (pending) pending.reject(new ChannelRefusedError(channel, error))
    else onRefused()
    return false
  }

  lost(channels: Iterable<string>): void {
    // It may have been dead for as long before it was noticed.
    const lostAt = Date.now() - silenceMs
    for (const channel of channels) {
      const listening = this.#channels.get(channel)
      if (listening) listening.lostAt ??= lostAt
    }
  }

  /** Live before position: what is published between the two arrives live, or the position includes it. */
  async #resolvePositions(channels: readonly string[]): Promise<void> {
    const waiting = new Map<string, Listening>()
    for (const channel of channels) {
      const listening = this.#channels.get(channel)
      if (listening?.pending) waiting.set(channel, listening)
    }
    await this.history.last([...waiting.keys()], (channel, last) => {
      const listening = waiting.get(channel)
      // `unlisten` and `listen` were called meanwhile: the newer call is resolved by its own read.
      if (!listening || this.#channels.get(channel) !== listening) return
      listening.pending?.resolve(last)
      listening.pending = undefined
    })
  }

  #logRefusal(channel: string, error: Error, refused: Set<string>): void {
    if (refused.has(channel)) return
    if (refused === this.#refused && refused.size >= maxRemembered) refused.clear()
    refused.add(channel)
    const fields = { err: loggable(error), channel }
    if (refused === this.#refusedOwn)
      this.#log.error(
        fields,
        `redis refuses a channel of the gateway: its user needs &${this.#prefix}gateway:* and ~{${this.#prefix}gateway:*}:*`,
      )
    else this.#log.warn(fields, 'redis refuses a channel, or its history, to the user of the gateway')
  }
}

function shardAt(address: string): string {
  return `${shardName}:${address}`
}
