import type { Position, Publication } from '@tidings/protocol'

/** One read of a channel's history. */
export interface HistoryPage {
  /** What follows the asked position, oldest first, as far as it is still there; at most the asked number. */
  readonly publications: readonly Publication[]
  /** The channel's newest position; of an empty channel `<now ms>-0`. */
  readonly last: Position
  /** True when nothing between the asked position and the first of `publications` (or now) is missing. */
  readonly whole: boolean
}

/** Reads channels' histories. */
export interface History {
  /** What follows `after`, at most `most` publications; waits while the broker is away. */
  after(channel: string, after: Position, most: number): Promise<HistoryPage>
}

/** Carries publications between processes. */
export interface Broker {
  readonly history: History
  /**
   * Resolves when publications of the channel arrive here, with its newest position, read after they did; of an empty channel
   * `<now ms>-0`. Waits while the broker is away.
   */
  listen(channel: string): Promise<Position>
  unlisten(channel: string): void
  /** For our own canary: a publication without position. Rejects when the broker does not answer. */
  publish(channel: string, body: string): Promise<void>
  close(): Promise<void>
}

/** What a broker tells its hub. */
export interface BrokerListener {
  publication(channel: string, publication: Publication): void
  /**
   * The connection was lost and is back, all channels with it: anything may have been missed that was published after `lostAt`, Unix
   * milliseconds.
   */
  restored(lostAt: number): void
}
