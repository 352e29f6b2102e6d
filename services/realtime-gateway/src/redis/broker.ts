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
  /** Resolves to at most `limit` publications after a position. Waits while the broker is away; never rejects. */
  after(channel: string, after: Position, limit: number): Promise<HistoryPage>
}

/** Takes the publications of one channel, as they arrive. */
export interface Receiver {
  receive(publication: Publication): void
}

/** Carries publications between processes. */
export interface Broker {
  readonly history: History
  /**
   * Passes the publications of a channel to `receiver`, the only one of the channel, until `unlisten`. Resolves when they arrive, to
   * the newest position of the channel, read after that; of an empty channel `<now ms>-0`. Waits while the broker is away; never
   * rejects.
   */
  listen(channel: string, receiver: Receiver): Promise<Position>
  unlisten(channel: string): void
  /** Publishes a body without position, which no history holds. Rejects when the broker does not reply. */
  publish(channel: string, body: string): Promise<void>
  close(): Promise<void>
}

/** Is notified when publications may have been missed. */
export interface BrokerListener {
  /**
   * The connection was lost, and is restored with all channels. Publications after `lostAt`, Unix ms, may not have arrived.
   */
  restored(lostAt: number): void
}
