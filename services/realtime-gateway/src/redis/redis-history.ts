import { setTimeout as delay } from 'node:timers/promises'
import { type Log, loggable, type RedisConnection, runIdOf, runKey } from '@tidings/chassis'
import { historyKey, historyLimitOf, parsePosition, type Position } from '@tidings/protocol'
import type { History, HistoryPage } from './broker.ts'
import type { HistoryCall, RunCall } from './history-script.ts'
import { readPublication } from './read-publication.ts'

type PageReply = readonly [last: Buffer, whole: number, ...publications: Buffer[]]

/** The scripts of `history-script.ts`, as ioredis defines them on a connection. */
interface HistoryScripts {
  historyAfterBuffer(history: string, run: string, call: string): Promise<PageReply>
  historyLast(keys: number, ...keysAndCall: string[]): Promise<string>
}

/** Histories whose newest positions are read in one call. */
const batchLength = 500
/** How long the run is recorded for a channel without history, whose positions are good for nothing but the order of what is live. */
const idleRunSeconds = 3_600
const retryMs = 500
const reportEveryMs = 10_000

/** Reads histories on a connection that queues commands while Redis is away, so that a read waits rather than fails. */
export class RedisHistory implements History {
  readonly #scripts: HistoryScripts
  readonly #cluster: boolean
  /** Precedes every key. */
  readonly #prefix: string
  readonly #runId: () => string | undefined
  readonly #maxKeys: number
  readonly #log: Log
  #closed = false
  #reportedAt = Number.NEGATIVE_INFINITY

  /** On a Cluster the keys of one call must share a slot, which those of two channels do not. */
  constructor(redis: RedisConnection, { cluster, prefix, log }: { cluster: boolean; prefix: string; log: Log }) {
    this.#log = log
    this.#scripts = redis as unknown as HistoryScripts
    this.#cluster = cluster
    this.#prefix = prefix
    this.#runId = runIdOf(redis)
    this.#maxKeys = cluster ? 1 : batchLength
  }

  async after(channel: string, { epoch, offset }: Position, limit: number): Promise<HistoryPage> {
    const lifetimeSeconds = historyLimitOf(channel)?.seconds ?? 0
    const call: HistoryCall = { ...this.#run(channel), epoch: String(epoch), offset, limit, lifetimeSeconds }
    const [last, whole, ...publications] = await this.#retry(() =>
      this.#scripts.historyAfterBuffer(this.#historyKey(channel), this.#runKey(channel), JSON.stringify(call)),
    )
    return {
      last: parsePosition(last.toString()) as Position,
      whole: whole === 1,
      publications: publications.map(readPublication),
    }
  }

  /** Resolves to the newest positions of the channels, in the same order. Waits while Redis is away; never rejects. */
  async last(channels: readonly string[]): Promise<Position[]> {
    const calls: Promise<string>[] = []
    for (let at = 0; at < channels.length; at += this.#maxKeys) {
      const batch = channels.slice(at, at + this.#maxKeys)
      const [first = ''] = batch
      const keys = [...batch.map((channel) => this.#historyKey(channel)), this.#runKey(first)]
      calls.push(this.#retry(() => this.#scripts.historyLast(keys.length, ...keys, JSON.stringify(this.#run(first)))))
    }
    return (await Promise.all(calls))
      .flatMap((positions) => positions.split(' '))
      .map((position) => parsePosition(position) as Position)
  }

  #historyKey(channel: string): string {
    return historyKey(channel, this.#prefix)
  }

  #runKey(channel: string): string {
    return runKey(this.#cluster, channel, this.#prefix)
  }

  /** The record of a whole server is kept for ever; on a Cluster, that of a channel as long as its history. */
  #run(channel: string): RunCall {
    return { runId: this.#runId(), runSeconds: this.#cluster ? (historyLimitOf(channel)?.seconds ?? idleRunSeconds) : 0 }
  }

  /** Ends the retries. Reads that fail from now on stay pending: their callers are closing too. */
  close(): void {
    this.#closed = true
  }

  /** Repeats a call until Redis replies without an error (LOADING, CLUSTERDOWN). */
  async #retry<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        if (this.#closed) return new Promise(() => {})
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
