import { setTimeout as delay } from 'node:timers/promises'
import type { Log, RedisConnection } from '@tidings/chassis'
import { historyKey, historyLimitOf, parsePosition, type Position } from '@tidings/protocol'
import type { History, HistoryPage } from './broker.ts'
import { readPublication } from './read-publication.ts'

type Page = readonly [last: Buffer, whole: number, ...publications: Buffer[]]

/** The scripts of `history-script.ts` as ioredis defines them on a connection. */
interface Commands {
  historyAfterBuffer(key: string, epoch: number, offset: number, most: number, seconds: number): Promise<Page>
  historyLast(keys: number, ...names: string[]): Promise<string>
}

/** Histories whose newest positions are read in one call. */
const batchLength = 500
const retryMs = 500
const reportEveryMs = 10_000

/** Reads histories on a connection that keeps commands while Redis is away, so that a read waits rather than fails. */
export class RedisHistory implements History {
  readonly #commands: Commands
  readonly #mostKeys: number
  readonly #log: Log
  #closed = false
  #reportedAt = Number.NEGATIVE_INFINITY

  /** In a cluster the keys of one call must share a slot, which those of two channels do not. */
  constructor(redis: RedisConnection, cluster: boolean, log: Log) {
    this.#log = log
    this.#commands = redis as unknown as Commands
    this.#mostKeys = cluster ? 1 : batchLength
  }

  async after(channel: string, { epoch, offset }: Position, most: number): Promise<HistoryPage> {
    const seconds = historyLimitOf(channel)?.seconds ?? 0
    const [last, whole, ...publications] = await this.#insist(() =>
      this.#commands.historyAfterBuffer(historyKey(channel), epoch, offset, most, seconds),
    )
    return {
      last: parsePosition(last.toString()) as Position,
      whole: whole === 1,
      publications: publications.map(readPublication),
    }
  }

  async last(channels: readonly string[]): Promise<Position[]> {
    const calls: Promise<string>[] = []
    for (let at = 0; at < channels.length; at += this.#mostKeys) {
      const keys = channels.slice(at, at + this.#mostKeys).map(historyKey)
      calls.push(this.#insist(() => this.#commands.historyLast(keys.length, ...keys)))
    }
    return (await Promise.all(calls))
      .flatMap((positions) => positions.split(' '))
      .map((position) => parsePosition(position) as Position)
  }

  close(): void {
    this.#closed = true
  }

  /** Redis may answer that it cannot just now (LOADING, CLUSTERDOWN). When we are closing, nobody waits any more. */
  async #insist<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        if (this.#closed) return new Promise(() => {})
        this.#report(error as Error)
        await delay(retryMs)
      }
    }
  }

  /** Thousands of reads may wait for one Redis: they are told of together. */
  #report(error: Error): void {
    const now = performance.now()
    if (now - this.#reportedAt < reportEveryMs) return
    this.#reportedAt = now
    this.#log.warn({ err: error }, 'history not read: trying again')
  }
}
