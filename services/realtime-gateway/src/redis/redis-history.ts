import { setTimeout as delay } from 'node:timers/promises'
import { type Log, loggable, type RedisConnection, runKey, type ScriptCaller, scriptCaller } from '@tidings/chassis'
import { historyKey, historyLimitOf, parsePosition, type Position } from '@tidings/protocol'
import type { History, HistoryPage } from './broker.ts'
import { deniesAccess, isErrorReply } from './error-reply.ts'
import type { HistoryCall, RunCall } from './history-script.ts'
import { readPublication } from './read-publication.ts'

type PageReply = readonly [last: Buffer, whole: number, ...publications: Buffer[]]

/** The scripts of `history-script.ts`, as ioredis defines them on a connection. */
interface HistoryScripts {
  historyAfterBuffer(history: string, run: string, call: string): Promise<PageReply>
  historyLast(keys: number, ...keysAndCall: string[]): Promise<string>
}

/** Learns which histories the ACL of Redis does not permit. */
export interface HistoryListener {
  /** Redis does not permit the history of the channel. Returns whether to try again until it does. */
  historyRefused(channel: string, error: Error): boolean
  /** Redis permits the history that was tried again. */
  historyPermitted(channel: string): void
}

export interface RedisHistoryOptions {
  readonly cluster: boolean
  /** Precedes every key. */
  readonly prefix: string
  readonly listener: HistoryListener
  readonly log: Log
}

/** Histories whose newest positions are read in one call. */
const batchLength = 500
/** How long the run is recorded for a channel without history, whose positions are good for nothing but the order of what is live. */
const idleRunSeconds = 3_600
const retryMs = 500
const reportEveryMs = 10_000

/** Reads histories on a connection that queues commands while Redis is away, so that a read waits rather than fails. */
export class RedisHistory implements History {
  readonly #call: ScriptCaller
  readonly #cluster: boolean
  /** Precedes every key. */
  readonly #prefix: string
  readonly #maxKeys: number
  readonly #listener: HistoryListener
  readonly #log: Log
  #closed = false
  #reportedAt = Number.NEGATIVE_INFINITY

  /** On a Cluster the keys of one call must share a slot, which those of two channels do not. */
  constructor(redis: RedisConnection, { cluster, prefix, listener, log }: RedisHistoryOptions) {
    this.#listener = listener
    this.#log = log
    this.#call = scriptCaller(redis)
    this.#cluster = cluster
    this.#prefix = prefix
    this.#maxKeys = cluster ? 1 : batchLength
  }

  async after(channel: string, after: Position, limit: number): Promise<HistoryPage> {
    const lifetimeSeconds = historyLimitOf(channel)?.seconds ?? 0
    const { epoch, offset } = after
    const keys = [this.#historyKey(channel), this.#runKey(channel)] as const
    const reply = await this.#untilPermitted(channel, () =>
      this.#call(keys[0], (redis, runId) => {
        const call: HistoryCall = { ...this.#run(channel, runId), epoch: String(epoch), offset, limit, lifetimeSeconds }
        return scriptsOf(redis).historyAfterBuffer(...keys, JSON.stringify(call))
      }),
    )
    if (!reply) return { publications: [], last: after, whole: false }
    const [last, whole, ...publications] = reply
    return {
      last: parsePosition(last.toString()) as Position,
      whole: whole === 1,
      publications: publications.map(readPublication),
    }
  }

  /**
   * Reads the newest positions of the channels, and passes each to `onRead`, unless the listener gives up the channel. Waits while Redis
   * is away; never rejects.
   */
  async last(channels: readonly string[], onRead: (channel: string, last: Position) => void): Promise<void> {
    const batches: Promise<void>[] = []
    for (let at = 0; at < channels.length; at += this.#maxKeys) {
      batches.push(this.#lastOf(channels.slice(at, at + this.#maxKeys), onRead))
    }
    await Promise.all(batches)
  }

  /** Bisects a batch that the ACL refuses until the channel at fault is isolated. */
  async #lastOf(batch: readonly string[], onRead: (channel: string, last: Position) => void): Promise<void> {
    const [first = ''] = batch
    const keys = [...batch.map((channel) => this.#historyKey(channel)), this.#runKey(first)]
    const read = () =>
      this.#call(keys[0] as string, (redis, runId) =>
        scriptsOf(redis).historyLast(keys.length, ...keys, JSON.stringify(this.#run(first, runId))),
      )
    const reply = batch.length === 1 ? await this.#untilPermitted(first, read) : await this.#retry(read)
    if (reply instanceof Error) {
      const middle = Math.floor(batch.length / 2)
      await Promise.all([batch.slice(0, middle), batch.slice(middle)].map((half) => this.#lastOf(half, onRead)))
    } else {
      const positions = reply?.split(' ') ?? []
      positions.forEach((position, index) => onRead(batch[index] as string, parsePosition(position) as Position))
    }
  }

  #historyKey(channel: string): string {
    return historyKey(channel, this.#prefix)
  }

  #runKey(channel: string): string {
    return runKey(this.#cluster, channel, this.#prefix)
  }

  /** The record of a whole server is kept for ever; on a Cluster, that of a channel as long as its history. */
  #run(channel: string, runId: string | undefined): RunCall {
    return { runId, runSeconds: this.#cluster ? (historyLimitOf(channel)?.seconds ?? idleRunSeconds) : 0 }
  }

  /** Ends the retries. Reads that fail from now on stay pending: their callers are closing too. */
  close(): void {
    this.#closed = true
  }

  /** Repeats a call that concerns one channel until the ACL permits it, or resolves to undefined when the listener gives up the channel. */
  async #untilPermitted<T>(channel: string, call: () => Promise<T>): Promise<T | undefined> {
    for (let refused = false; ; refused = true) {
      const reply = await this.#retry(call)
      if (!(reply instanceof Error)) {
        if (refused) this.#listener.historyPermitted(channel)
        return reply
      }
      if (!this.#listener.historyRefused(channel, reply)) return undefined
      await delay(retryMs)
    }
  }

  /** Repeats a call until Redis replies without an error (LOADING, CLUSTERDOWN). Resolves to the error when the ACL refuses the call. */
  async #retry<T>(call: () => Promise<T>): Promise<T | Error> {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        if (this.#closed) return new Promise(() => {})
        if (isErrorReply(error) && deniesAccess(error)) return error
        this.#report(error)
        await delay(retryMs)
      }
    }
  }

  /** Logs one failure for all the reads that may wait for one Redis. */
  #report(error: unknown): void {
    const now = performance.now()
    if (now - this.#reportedAt < reportEveryMs) return
    this.#reportedAt = now
    this.#log.warn({ err: loggable(error) }, 'history not read: trying again')
  }
}

function scriptsOf(redis: RedisConnection): HistoryScripts {
  return redis as unknown as HistoryScripts
}
