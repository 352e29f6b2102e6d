import { type Log, type RedisConnection, RepeatedFailure } from '@tidings/chassis'
import { BatchDelay } from './batch-delay.ts'
import { deniesAccess, isErrorReply, newOwner } from './error-reply.ts'

/** Learns what becomes of the channels of a subscriber. */
export interface SubscriberListener {
  /** Redis confirmed the subscriptions to these channels on the present connection: what was published earlier may be missing. */
  subscribed(channels: readonly string[]): void
  /** Redis does not permit the channel. Returns whether to try again; otherwise the subscriber drops the channel. */
  refused(channel: string, error: Error): boolean
  /** Another node of the Cluster serves the channel, which the subscriber drops. */
  moved?(channel: string, address: string): void
  /** The node of a Cluster ended subscriptions by itself, because it no longer serves their slots. */
  unsubscribed?(): void
  /** These channels receive nothing until they are reported as subscribed again. */
  lost(channels: Iterable<string>): void
  received(channel: string, payload: Buffer): void
}

export interface SubscriberOptions {
  /** Has no offline queue and does not subscribe again by itself. The subscriber closes it. */
  readonly redis: RedisConnection
  /** Precedes every channel in Redis. Commands and messages of Redis have it, and nothing else in the gateway. */
  readonly prefix: string
  /** Whether Pub/Sub is sharded: then each channel takes a command of its own, since a command takes one slot. */
  readonly sharded: boolean
  readonly listener: SubscriberListener
  readonly log: Log
}

/** Channels in one SUBSCRIBE. */
const batchLength = 1_000
const pingEveryMs = 1_000
/** When a channel is tried again after an error reply. */
const retryMs = 500

/**
 * Keeps one connection subscribed to a set of channels, which may change at any time. Changes are sent in batches; a batch that gets an
 * error reply is bisected until the channel at fault is isolated.
 */
export class Subscriber {
  readonly #redis: RedisConnection
  readonly #prefix: string
  readonly #sharded: boolean
  readonly #listener: SubscriberListener
  readonly #log: Log
  readonly #failure: RepeatedFailure
  readonly #channels = new Set<string>()
  /** Channels whose SUBSCRIBE or UNSUBSCRIBE is sent next. */
  readonly #changed = new Set<string>()
  /** Channels that got an error reply and are tried again when the timer ends. */
  readonly #deferred = new Set<string>()
  #deferral: NodeJS.Timeout | undefined
  readonly #batchDelay = new BatchDelay()
  readonly #heartBeat: NodeJS.Timeout
  #connected = false
  #flushing = false
  /** True from a new connection until its first subscriptions are settled. */
  #restoring = false

  constructor({ redis, prefix, sharded, listener, log }: SubscriberOptions) {
    this.#redis = redis
    this.#prefix = prefix
    this.#sharded = sharded
    this.#listener = listener
    this.#log = log
    this.#failure = new RepeatedFailure(log, 'redis error')
    this.#heartBeat = setInterval(() => void this.#ping(), pingEveryMs)
    redis.on('ready', () => this.#restore())
    redis.on('close', () => this.#lose())
    redis.on('error', (error: Error) => this.#failure.failed(error))
    redis.on('moved', () => listener.unsubscribed?.())
    redis.on(sharded ? 'smessageBuffer' : 'messageBuffer', (channel: Buffer, payload: Buffer) =>
      listener.received(channel.toString('latin1', prefix.length), payload),
    )
  }

  get connected(): boolean {
    return this.#connected
  }

  add(channel: string): void {
    this.#channels.add(channel)
    this.#change(channel)
  }

  remove(channel: string): void {
    this.#channels.delete(channel)
    this.#deferred.delete(channel)
    this.#change(channel)
  }

  /** Subscribes to every channel once more, on the present connection. */
  subscribeAgain(): void {
    for (const channel of this.#channels) this.#changed.add(channel)
    if (this.#connected) void this.#flush()
  }

  close(): void {
    clearInterval(this.#heartBeat)
    clearTimeout(this.#deferral)
    this.#channels.clear()
    this.#changed.clear()
    this.#connected = false
    this.#redis.disconnect()
  }

  /** Sends a command on a connection that otherwise only receives: without replies a dead connection looks like a silent one. */
  async #ping(): Promise<void> {
    if (this.#connected) await this.#redis.ping().catch((error: Error) => this.#failure.failed(error))
  }

  #restore(): void {
    this.#connected = true
    this.#restoring = true
    this.#deferred.clear()
    this.subscribeAgain()
  }

  #lose(): void {
    if (!this.#connected) return
    this.#connected = false
    this.#log.warn('redis connection lost')
    this.#listener.lost(this.#channels)
  }

  #change(channel: string): void {
    this.#changed.add(channel)
    if (this.#connected) void this.#flush()
  }

  /** Sends what changed in batches. While the connection is away the changes gather. */
  async #flush(): Promise<void> {
    if (this.#flushing) return
    this.#flushing = true
    await this.#batchDelay.wait()
    do {
      const changed = Array.from(this.#changed)
      this.#changed.clear()
      this.#batchDelay.sent(changed.length)
      await this.#unsubscribe(changed.filter((channel) => !this.#channels.has(channel)))
      await this.#subscribe(changed.filter((channel) => this.#channels.has(channel)))
      if (this.#connected) this.#restored()
      await this.#batchDelay.wait()
    } while (this.#connected && this.#changed.size > 0)
    this.#flushing = false
  }

  #restored(): void {
    if (!this.#restoring) return
    this.#restoring = false
    this.#failure.succeeded()
    this.#log.info({ channels: this.#channels.size }, 'redis subscriptions are up')
  }

  /** A failure needs no retry: a lost connection has no subscriptions, and publications of other channels are dropped. */
  async #unsubscribe(channels: readonly string[]): Promise<void> {
    const send = async (batch: readonly string[]) => {
      const names = this.#namesOf(batch)
      await (this.#sharded ? this.#redis.sunsubscribe(...names) : this.#redis.unsubscribe(...names))
    }
    // A node that no longer serves the slot has ended the subscription by itself.
    const onError = (error: Error) => {
      if (newOwner(error) === undefined) this.#failure.failed(error)
    }
    await Promise.all(this.#batches(channels).map((batch) => send(batch).catch(onError)))
  }

  async #subscribe(channels: readonly string[]): Promise<void> {
    const confirmed = await Promise.all(this.#batches(channels).map((batch) => this.#subscribeBatch(batch)))
    const subscribed = confirmed.flat().filter((channel) => this.#channels.has(channel))
    if (subscribed.length > 0) this.#listener.subscribed(subscribed)
  }

  #namesOf(channels: readonly string[]): readonly string[] {
    return this.#prefix === '' ? channels : channels.map((channel) => this.#prefix + channel)
  }

  #batches(channels: readonly string[]): readonly string[][] {
    const length = this.#sharded ? 1 : batchLength
    return Array.from({ length: Math.ceil(channels.length / length) }, (_, index) =>
      channels.slice(index * length, (index + 1) * length),
    )
  }

  /** Resolves to the channels that Redis confirmed. An error reply means that none of the batch was subscribed to. */
  async #subscribeBatch(channels: readonly string[]): Promise<readonly string[]> {
    try {
      const names = this.#namesOf(channels)
      await (this.#sharded ? this.#redis.ssubscribe(...names) : this.#redis.subscribe(...names))
      return channels
    } catch (error) {
      if (!isErrorReply(error)) this.#defer(channels, error)
      else if (channels.length === 1) this.#fail(channels[0] as string, error)
      else {
        const middle = Math.floor(channels.length / 2)
        const halves = [channels.slice(0, middle), channels.slice(middle)]
        return (await Promise.all(halves.map((half) => this.#subscribeBatch(half)))).flat()
      }
      return []
    }
  }

  /** Decides what becomes of one channel after an error reply. */
  #fail(channel: string, error: Error): void {
    if (!this.#channels.has(channel)) return
    const address = newOwner(error)
    if (address !== undefined && this.#listener.moved) {
      this.#channels.delete(channel)
      this.#listener.moved(channel, address)
    } else if (!deniesAccess(error)) this.#defer([channel], error)
    else if (this.#listener.refused(channel, error)) this.#defer([channel])
    else this.#channels.delete(channel)
  }

  #defer(channels: readonly string[], error?: unknown): void {
    if (error) this.#failure.failed(error)
    for (const channel of channels) this.#deferred.add(channel)
    this.#deferral ??= setTimeout(() => this.#retry(), retryMs)
  }

  #retry(): void {
    this.#deferral = undefined
    for (const channel of this.#deferred) this.#changed.add(channel)
    this.#deferred.clear()
    if (this.#connected) void this.#flush()
  }
}
