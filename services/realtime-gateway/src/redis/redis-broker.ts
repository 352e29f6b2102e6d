import { setTimeout as delay } from 'node:timers/promises'
import { connectRedis, isCluster, type Log, type RedisConnection } from '@tidings/chassis'
import type { Position } from '@tidings/protocol'
import type { Broker, BrokerListener } from './broker.ts'
import { historyScript, lastScript } from './history-script.ts'
import { Pace } from './batch-delay.ts'
import { readPublication } from './read-publication.ts'
import { RedisHistory } from './redis-history.ts'

/** Channels in one SUBSCRIBE. */
const batchLength = 1_000
const pingEveryMs = 1_000
const retryMs = 500
/** A connection that leaves a command unanswered for this long is dead, even if TCP has not noticed. */
const silenceMs = 5_000
/** After a cluster's topology changed, its connections settle within this. */
const settleMs = 2_000

/** Told where the channel stood once we listened. */
type Listening = (last: Position) => void

/** Redis Pub/Sub, on a Cluster its sharded kind, with histories read on a connection of their own. */
export class RedisBroker implements Broker {
  readonly history: RedisHistory
  readonly #log: Log
  readonly #cluster: boolean
  readonly #subscriber: RedisConnection
  readonly #commands: RedisConnection
  #listener: BrokerListener | undefined
  /** Every channel that is listened to, or is to be; a function while somebody waits for it. */
  readonly #channels = new Map<string, Listening | undefined>()
  /** Channels whose SUBSCRIBE or UNSUBSCRIBE goes out next. */
  readonly #changed = new Set<string>()
  #telling = false
  readonly #pace = new Pace()
  #live = false
  #lostAt = Date.now()
  readonly #heartBeat: NodeJS.Timeout
  #settling: NodeJS.Timeout | undefined
  #error = ''

  constructor(url: string, log: Log) {
    this.#log = log
    this.#cluster = isCluster(url)
    this.#subscriber = connectRedis(url, {
      connectionName: 'realtime-gateway:subscriber',
      autoResubscribe: this.#cluster,
      enableOfflineQueue: this.#cluster,
      maxRetriesPerRequest: null,
      socketTimeout: silenceMs,
      shardedSubscribers: this.#cluster,
    })
    // Reads wait in the connection while Redis is away: nobody has to try again.
    this.#commands = connectRedis(url, {
      connectionName: 'realtime-gateway:history',
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      socketTimeout: silenceMs,
      enableAutoPipelining: true,
      scripts: {
        historyAfter: { numberOfKeys: 1, lua: historyScript, readOnly: true },
        historyLast: { lua: lastScript, readOnly: true },
      },
    })
    this.history = new RedisHistory(this.#commands, this.#cluster, log)
    this.#heartBeat = setInterval(() => void this.#prove(), pingEveryMs)
    this.#watch()
  }

  /** Publications go to this listener from now on. */
  open(listener: BrokerListener): void {
    this.#listener = listener
  }

  listen(channel: string): Promise<Position> {
    return new Promise((resolve) => {
      this.#channels.set(channel, resolve)
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
      // Until every channel is back nothing is handed on: each will read its history, which has all of it in order.
      if (this.#live) this.#listener?.publication(channel.toString('latin1'), readPublication(payload))
    })
    this.#subscriber.on('ready', () => void this.#restore())
    this.#subscriber.on('close', () => this.#lose())
    for (const connection of [this.#subscriber, this.#commands]) connection.on('error', (error: Error) => this.#report(error))
    if (!this.#cluster) return
    // A shard's connection comes and goes without the others; ioredis takes its channels elsewhere.
    for (const event of ['+node', '-node', 'node error']) this.#subscriber.on(event, () => this.#settle())
  }

  /** A subscriber only listens: without a question, a dead connection would look like a quiet one. */
  async #prove(): Promise<void> {
    if (this.#live && !this.#cluster) await this.#subscriber.ping().catch((error: Error) => this.#report(error))
  }

  #change(channel: string): void {
    this.#changed.add(channel)
    if (this.#live && !this.#telling) void this.#flush()
  }

  /**
   * Tells Redis what changed, in batches; while the connection is away all of it gathers. What fails goes again.
   */
  async #flush(): Promise<void> {
    this.#telling = true
    await this.#pace.turn()
    while (this.#live && this.#changed.size > 0) {
      const changed = Array.from(this.#changed)
      this.#changed.clear()
      this.#pace.took(changed.length)
      try {
        await this.#tell(
          'unsubscribe',
          changed.filter((channel) => !this.#channels.has(channel)),
        )
        await this.#subscribe(changed.filter((channel) => this.#channels.has(channel)))
      } catch (error) {
        this.#report(error as Error)
        for (const channel of changed) this.#changed.add(channel)
        await delay(retryMs)
      }
      await this.#pace.turn()
    }
    this.#telling = false
  }

  async #subscribe(channels: readonly string[]): Promise<void> {
    await this.#tell('subscribe', channels)
    void this.#place(channels)
  }

  /** Live before the position: what is published between the two comes live. */
  async #place(channels: readonly string[]): Promise<void> {
    const waiting = channels.flatMap((channel) => {
      const resolve = this.#channels.get(channel)
      return resolve ? [{ channel, resolve }] : []
    })
    const positions = await this.history.last(waiting.map(({ channel }) => channel))
    waiting.forEach(({ channel, resolve }, index) => {
      // Who left it meanwhile and came again has a turn of its own.
      if (this.#channels.get(channel) !== resolve) return
      this.#channels.set(channel, undefined)
      resolve(positions[index] as Position)
    })
  }

  async #tell(verb: 'subscribe' | 'unsubscribe', channels: readonly string[]): Promise<void> {
    if (this.#cluster) {
      // One call takes one slot, and each channel has its own.
      await Promise.all(channels.map((channel) => this.#subscriber[`s${verb}`](channel)))
      return
    }
    for (let at = 0; at < channels.length; at += batchLength)
      await this.#subscriber[verb](...channels.slice(at, at + batchLength))
  }

  /** The connection is there: every channel is subscribed to, then the hub looks for what it missed. */
  async #restore(): Promise<void> {
    try {
      await this.#subscribe([...this.#channels.keys()])
    } catch (error) {
      return this.#report(error as Error) // lost again: the next `ready` starts over
    }
    this.#live = true
    if (!this.#telling) void this.#flush()
    this.#error = ''
    this.#log.info({ channels: this.#channels.size }, 'redis subscriptions are up')
    this.#listener?.restored(this.#lostAt)
  }

  #lose(): void {
    if (!this.#live) return
    this.#log.warn('redis connection lost')
    // It may have been dead for as long before anybody noticed.
    this.#lostAt = Date.now() - silenceMs
    this.#live = false
  }

  #settle(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#listener?.restored(Date.now() - settleMs - silenceMs), settleMs)
  }

  /** Says an error once, not with every attempt to reconnect. */
  #report(error: Error): void {
    if (error.message !== this.#error) this.#log.warn({ err: error }, 'redis error')
    this.#error = error.message
  }
}
