import type { Position, Publication } from '@tidings/protocol'

/** One read of a channel's history. */
export interface HistoryPage {
  /** The publications after the requested position that the history still holds, oldest first; at most the requested number, and fewer when they are large. */
  readonly publications: readonly Publication[]
  /** The channel's newest position; of an empty channel `<now ms>-0`. */
  readonly last: Position
  /** True when nothing is missing between the requested position and the first of `publications`, or now. */
  readonly whole: boolean
}

/** Reads the histories of channels. */
export interface History {
  /**
   * Resolves to at most `limit` publications after a position. Waits while the broker is away; never rejects. When the broker refuses the
   * history of a channel of a client, it ends the listening (`onRefused`), and the page is empty and not whole.
   */
  after(channel: string, after: Position, limit: number): Promise<HistoryPage>
}

/** Takes the publications of one channel, as they arrive. */
export interface Receiver {
  receive(publication: Publication): void
  /** The channel is listened to again: whatever was published after `lostAt`, Unix ms, may not have arrived. */
  repair(lostAt: number): void
}

/** The broker does not permit the gateway to listen to a channel. */
export class ChannelRefusedError extends Error {
  constructor(channel: string, cause: Error) {
    super(`no permission to listen to ${channel}`, { cause })
  }
}

/** Carries publications between processes. */
export interface Broker {
  readonly history: History
  /** Names of the independent parts of the broker, as `/ready` reports them. Empty while they are unknown. */
  readonly shards: readonly string[]
  /** Shards that refuse a channel without which the gateway is not ready. */
  readonly refusing: readonly string[]
  /** Returns the shard that carries the channel, if it is known. */
  shardOf(channel: string): string | undefined
  /**
   * Passes the publications of a channel to `receiver`, the only one of the channel, until `unlisten`. Resolves when they arrive, to
   * the newest position of the channel, read after that; of an empty channel `<now ms>-0`. Waits while the broker is away.
   *
   * Rejects with `ChannelRefusedError` when the broker refuses the channel; when it does so later, calls `onRefused`. Either ends the
   * listening. Without `onRefused` never rejects: the channel is tried again until the broker permits it.
   */
  listen(channel: string, receiver: Receiver, onRefused?: () => void): Promise<Position>
  unlisten(channel: string): void
  /**
   * Stores and publishes a body as a publication is, but without position; the channel keeps only the last one. Rejects when the broker
   * does not reply, or refuses.
   */
  appendCanary(channel: string, body: string): Promise<void>
  close(): Promise<void>
}
