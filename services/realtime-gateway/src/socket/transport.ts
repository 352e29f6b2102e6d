import type { CloseCode } from '@tidings/protocol'

/** The part of a transport that a subscription writes to. */
export interface Outlet {
  /**
   * Sends one whole WebSocket message, header included, as `textMessage` returns it. Messages of one tick leave in one write. Calls
   * `onOverflow` of the listener when more than MAX_BUFFERED_BYTES, and a snapshot, are unread.
   */
  send(message: Buffer): void
  /**
   * Sends a message that may be larger than MAX_BUFFERED_BYTES, and resolves when the client has caught up. The caller awaits `drained`
   * first, so that at most one snapshot is buffered.
   */
  sendSnapshot(message: Buffer): Promise<void>
  /** Resolves when little of what was sent waits in this process, or when the transport is closed. */
  drained(): Promise<void>
  /** Bytes passed to `send` that the kernel has not taken yet. */
  readonly bufferedBytes: number
}

/** A narrow view of one WebSocket. Nothing throws; after `close` every method is a no-op. */
export interface Transport extends Outlet {
  /** Sends a WebSocket ping. The pong counts as activity. */
  ping(): void
  /** Sends what is waiting, `last` and the close frame. The socket is destroyed when the client does not reply in time. */
  close(code: CloseCode, reason: string, last?: Buffer): void
  /** Stops reading, so that the bytes of the client wait in its own buffers. */
  pause(): void
  resume(): void
  /** Time of `performance.now()`, in ms, at which the oldest buffered byte was sent; undefined when none is buffered. */
  readonly bufferedSince: number | undefined
  /** Time of `performance.now()`, in ms, of the last write of messages. */
  readonly sentAt: number
}

/** Receives the events of a transport. */
export interface TransportListener {
  /** The payload of a WebSocket message, or a part of one. */
  onBytes(bytes: Uint8Array): void
  /** A ping or pong arrived. */
  onActivity(): void
  /** The client reads too slowly: the bytes it has not read exceed the bound. */
  onOverflow(): void
  /** The socket is closed, by either side. */
  onClosed(code: number): void
}
