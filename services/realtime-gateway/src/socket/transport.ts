import type { CloseCode } from '@tidings/protocol'

/** Our narrow view of one WebSocket. Nothing throws: after `close` everything is a no-op. */
export interface Transport {
  /** Sends one whole WebSocket message, header included, as `textMessage` makes it. Messages of one tick leave in one write. */
  send(message: Buffer): void
  /** Sends a WebSocket ping; the pong counts as activity. */
  ping(): void
  /** Sends what is waiting and the close frame; the socket is destroyed when the peer does not answer in time. */
  close(code: CloseCode, reason: string): void
  /** Stops reading from the peer, so that its bytes wait in its own buffers. */
  pause(): void
  resume(): void
  /** Resolves when hardly anything sent is waiting in this process any more, or the transport is closed. */
  drained(): Promise<void>
  /** Bytes handed to `send` that the kernel has not taken yet. */
  readonly bufferedBytes: number
  /** Since when the oldest of them wait, in ms of `performance.now()`; undefined when none do. */
  readonly bufferedSince: number | undefined
  /** When a message was last sent, in ms of `performance.now()`. */
  readonly sentAt: number
}

/** What a transport tells its session. */
export interface TransportListener {
  bytes(bytes: Uint8Array): void
  /** A ping or pong came: a sign of life. */
  alive(): void
  /** The socket is gone, whoever closed it. */
  gone(code: number): void
}

const maxHeaderBytes = 10
const textFrame = 0x81

/** Builds an unmasked WebSocket text message (RFC 6455 §5.2) with room for `length` bytes; `at` is where they go. */
export function allocateMessage(length: number): { message: Buffer; at: number } {
  const at = length < 126 ? 2 : length < 65_536 ? 4 : maxHeaderBytes
  const message = Buffer.allocUnsafe(at + length)
  message[0] = textFrame
  if (at === 2) message[1] = length
  else if (at === 4) {
    message[1] = 126
    message.writeUInt16BE(length, 2)
  } else {
    message[1] = 127
    message.writeBigUInt64BE(BigInt(length), 2)
  }
  return { message, at }
}

/** One STOMP frame, or a heart-beat, as one WebSocket text message. */
export function textMessage(text: string): Buffer {
  const { message, at } = allocateMessage(Buffer.byteLength(text))
  message.write(text, at)
  return message
}
