import { setTimeout as delay } from 'node:timers/promises'
import { connectRedis, isCluster, type Log, type RedisConnection, RepeatedFailure } from '@tidings/chassis'
import type { Position } from '@tidings/protocol'
import { BatchDelay } from './batch-delay.ts'
import type { Broker, BrokerListener, Receiver } from './broker.ts'
import { historyScript, lastScript } from './history-script.ts'
import { readPublication } from './read-publication.ts'
import { RedisHistory } from './redis-history.ts'

/** Channels in one SUBSCRIBE. */
const batchLength = 1_000
const pingEveryMs = 1_000
const retryMs = 500
/** A connection that leaves a command without reply for this long is dead, even if TCP has not noticed. */
const silenceMs = 5_000
/** After the topology of a Cluster changed, its connections settle within this. */
const settleMs = 2_000

/** One channel that is listened to, or is about to be. */
interface Listening {
  readonly receiver: Receiver
  /** Resolves the pending `listen`; undefined when it has resolved. */
  resolve: ((last: Position) => void) | undefined
}

/** Redis Pub/Sub, sharded on a Cluster. Histories are read on a second connection. */
export class RedisBroker implements Broker {
  readonly history: RedisHistory
  readonly #log: Log
  readonly #cluster: boolean
  readonly #subscriber: RedisConnection
  readonly #commands: RedisConnection
  #listener: BrokerListener | undefined
  readonly #channels = new Map<string, Listening>()
  /** Channels whose SUBSCRIBE or UNSUBSCRIBE is sent next. */
  readonly #changed = new Set<string>()
  #flushing = false
  readonly #batchDelay = new BatchDelay()
  /** True while every channel is subscribed to. */
  #live = false
  /** Unix ms. */
  #lostAt = Date.now()
  readonly #heartBeat: NodeJS.Timeout
  #settling: NodeJS.Timeout | undefined
  readonly #failure: RepeatedFailure

  constructor(url: string, log: Log) {
    this.#log = log
    this.#failure = new RepeatedFailure(log, 'redis error')
    this.#cluster = isCluster(url)
    this.#subscriber = connectRedis(url, {
      connectionName: 'realtime-gateway:subscriber',
      autoResubscribe: this.#cluster,
      enableOfflineQueue: this.#cluster,
      maxRetriesPerRequest: null,
      socketTimeout: silenceMs,
      shardedSubscribers: this.#cluster,
    })
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
      },
    })
    this.history = new RedisHistory(this.#commands, this.#cluster, log)
    this.#heartBeat = setInterval(() => void this.#ping(), pingEveryMs)
    this.#watch()
  }

  /** Reports restored connections to this listener. */
  open(listener: BrokerListener): void {
    this.#listener = listener
  }

  listen(channel: string, receiver: Receiver): Promise<Position> {
    return new Promise((resolve) => {
      this.#channels.set(channel, { receiver, resolve })
      this.#change(channel)
    })
  }

  unlisten(channel: string): void {
    this.#channels.delete(channel)
    this.#change(channel)
  }

  async publish(channel: string, body: string): Promise<void> {
    await (this.#cluster ? this.#commands.spublish(channel, body) : this.#commands.publish(channel, body))
  }

  async close(): Promise<void> {
    clearInterval(this.#heartBeat)
    clearTimeout(this.#settling)
    this.#live = false
    this.history.close()
    this.#subscriber.disconnect()
    this.#commands.disconnect()
  }

  #watch(): void {
    this.#subscriber.on(this.#cluster ? 'smessageBuffer' : 'messageBuffer', (channel: Buffer, payload: Buffer) => {
      // Drop messages until every channel is subscribed again: each cursor then reads its history, which has them in order.
      if (this.#live) this.#channels.get(channel.toString('latin1'))?.receiver.receive(readPublication(payload))
    })
    this.#subscriber.on('ready', () => void this.#restore())
    this.#subscriber.on('close', () => this.#lose())
    for (const connection of [this.#subscriber, this.#commands]) {
      connection.on('error', (error: Error) => this.#failure.failed(error))
    }
    if (!this.#cluster) return
    // The connection to one shard may be lost and restored alone; ioredis then subscribes its channels again.
    for (const event of ['+node', '-node', 'node error']) this.#subscriber.on(event, () => this.#settle())
  }

  /** Sends a command on the subscriber, which otherwise only receives: without replies a dead connection looks like a silent one. */
  async #ping(): Promise<void> {
    if (this.#live && !this.#cluster) await this.#subscriber.ping().catch((error: Error) => this.#failure.failed(error))
  }

  #change(channel: string): void {
    this.#changed.add(channel)
    if (this.#live && !this.#flushing) void this.#flush()
  }

  /** Sends what changed in batches, and retries what fails. While the connection is lost, changes accumulate. */
  async #flush(): Promise<void> {
    this.#flushing = true
    await this.#batchDelay.wait()
    while (this.#live && this.#changed.size > 0) {
      const changed = Array.from(this.#changed)
      this.#changed.clear()
      this.#batchDelay.sent(changed.length)
      try {
        await this.#send(
          'unsubscribe',
          changed.filter((channel) => !this.#channels.has(channel)),
        )
        await this.#subscribe(changed.filter((channel) => this.#channels.has(channel)))
      } catch (error) {
        this.#failure.failed(error)
        for (const channel of changed) this.#changed.add(channel)
        await delay(retryMs)
      }
      await this.#batchDelay.wait()
    }
    this.#flushing = false
  }

  async #subscribe(channels: readonly string[]): Promise<void> {
    await this.#send('subscribe', channels)
    void this.#resolvePositions(channels)
  }

  /** Subscribed first, position read second: what is published between the two arrives live. */
  async #resolvePositions(channels: readonly string[]): Promise<void> {
    const waiting = channels.flatMap((channel) => {
      const listening = this.#channels.get(channel)
      return listening?.resolve ? [{ channel, listening, resolve: listening.resolve }] : []
    })
    const positions = await this.history.last(waiting.map(({ channel }) => channel))
    waiting.forEach(({ channel, listening, resolve }, index) => {
      // `unlisten` and `listen` were called meanwhile: the newer call is resolved by its own read.
      if (this.#channels.get(channel) !== listening || !listening.resolve) return
      listening.resolve = undefined
      resolve(positions[index] as Position)
    })
  }

  async #send(verb: 'subscribe' | 'unsubscribe', channels: readonly string[]): Promise<void> {
    if (this.#cluster) {
      // The channels of one SSUBSCRIBE must share a slot, so each channel gets a call of its own.
      await Promise.all(channels.map((channel) => this.#subscriber[`s${verb}`](channel)))
      return
    }
    for (let at = 0; at < channels.length; at += batchLength)
      await this.#subscriber[verb](...channels.slice(at, at + batchLength))
  }

  /** Subscribes a new connection to every channel, then notifies the listener, so that the cursors read what they missed. */
  async #restore(): Promise<void> {
    try {
      await this.#subscribe([...this.#channels.keys()])
    } catch (error) {
      return this.#failure.failed(error) // lost again: the next `ready` starts over
    }
    this.#live = true
    if (!this.#flushing) void this.#flush()
    this.#failure.succeeded()
    this.#log.info({ channels: this.#channels.size }, 'redis subscriptions are up')
    this.#listener?.restored(this.#lostAt)
  }

  #lose(): void {
    if (!this.#live) return
    this.#log.warn('redis connection lost')
    // The connection may have been dead for up to `silenceMs` before the loss was detected.
    this.#lostAt = Date.now() - silenceMs
    this.#live = false
  }

  /** Reports restored connections once the topology has not changed for `settleMs`. */
  #settle(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#listener?.restored(Date.now() - settleMs - silenceMs), settleMs)
  }
}
