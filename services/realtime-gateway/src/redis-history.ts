import type { RedisConnection } from '@tidings/chassis'
import { decodePublication, historyKey, historyLimitOf, parsePosition, type Position } from '@tidings/protocol'
import type { History, HistoryPage } from './broker.ts'

type Reply = readonly [last: Buffer, whole: number, ...publications: Buffer[]]

/** The script of `history-script.ts` as ioredis defines it on a connection. */
interface Commands {
  historyAfterBuffer(key: string, epoch: number, offset: number, most: number, seconds: number): Promise<Reply>
}

const nowhere: Position = { epoch: 0, offset: 0 }

/** Reads histories on a connection that keeps commands while Redis is away. */
export class RedisHistory implements History {
  readonly #commands: Commands

  constructor(redis: RedisConnection) {
    this.#commands = redis as unknown as Commands
  }

  async after(channel: string, { epoch, offset }: Position, most: number): Promise<HistoryPage> {
    const seconds = historyLimitOf(channel)?.seconds ?? 0
    const [last, whole, ...publications] = await this.#commands.historyAfterBuffer(
      historyKey(channel),
      epoch,
      offset,
      most,
      seconds,
    )
    return {
      last: parsePosition(last.toString()) as Position,
      whole: whole === 1,
      publications: publications.map((payload) => decodePublication(payload)),
    }
  }

  async last(channel: string): Promise<Position> {
    return (await this.after(channel, nowhere, 0)).last
  }
}
