import type { Socket } from 'node:net'
import type { CloseCode } from '@tidings/protocol'
import { WebSocket } from 'ws'
import type { Transport, TransportListener } from './transport.ts'
import type { WriteBatch } from './write-batch.ts'

/** RFC 6455 §5.5: a close reason is at most 123 bytes. */
const maxReasonBytes = 123
/** More than this is written at once: what waits for the end of the tick is only worth gathering while it is small. */
const maxWaitingBytes = 65_536
const markEveryMs = 1_000

/** The only file that knows `ws`. Whole messages go to the raw socket as they are; `ws` reads, pings and closes. */
export class WebSocketTransport implements Transport {
  sentAt = performance.now()
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #batch: WriteBatch
  #waiting: Buffer | Buffer[] | undefined = undefined
  #waitingBytes = 0
  /** Bytes handed to the socket so far. */
  #written = 0
  /** While bytes wait: up to which count they were written when, oldest first, one mark a second. */
  #marks: { through: number; readonly at: number }[] | undefined = undefined
  #drained: Promise<void> | undefined = undefined
  #onDrained: (() => void) | undefined = undefined

  constructor(ws: WebSocket, socket: Socket, batch: WriteBatch) {
    this.#ws = ws
    this.#socket = socket
    this.#batch = batch
  }

  /** Must be called in the tick of the upgrade, or first messages are lost. */
  listen(listener: TransportListener): void {
    const ws = this.#ws
    ws.on('message', (data) => listener.bytes(data as Buffer))
    ws.on('pong', () => listener.alive())
    ws.on('ping', () => listener.alive())
    // A broken WebSocket frame: `ws` has sent the close frame that belongs to it, and `close` follows.
    ws.on('error', ignore)
    ws.on('close', (code) => {
      this.#onDrained?.()
      listener.gone(code)
    })
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength + this.#waitingBytes
  }

  get bufferedSince(): number | undefined {
    if (this.#marks === undefined) return undefined
    const sent = this.#written - this.#socket.writableLength
    while (this.#marks[0] !== undefined && this.#marks[0].through <= sent) this.#marks.shift()
    if (this.#marks.length === 0) this.#marks = undefined
    return this.#marks?.[0]?.at
  }

  send(message: Buffer): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return
    this.#waitingBytes += message.length
    if (this.#waiting === undefined) {
      this.#waiting = message
      this.#batch.add(this)
    } else if (Array.isArray(this.#waiting)) this.#waiting.push(message)
    else this.#waiting = [this.#waiting, message]
    if (this.#waitingBytes > maxWaitingBytes) this.flush(performance.now())
  }

  /** Writes what was sent in this tick; answers how many bytes. */
  flush(now: number): number {
    const waiting = this.#waiting
    if (waiting === undefined) return 0
    const bytes = this.#waitingBytes
    this.#waiting = undefined
    this.#waitingBytes = 0
    if (this.#ws.readyState !== WebSocket.OPEN) return 0
    this.#socket.write(Array.isArray(waiting) ? Buffer.concat(waiting, bytes) : waiting)
    this.#written += bytes
    this.sentAt = now
    if (this.#socket.writableLength > 0) this.#fellBehind(now)
    return bytes
  }

  ping(): void {
    // Not sent in the sense of `sentAt`: a page never sees a ping, and waits for its beat all the same.
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping()
  }

  close(code: CloseCode, reason: string): void {
    this.flush(performance.now())
    let text = reason.slice(0, maxReasonBytes)
    while (Buffer.byteLength(text) > maxReasonBytes) text = text.slice(0, -1)
    this.#ws.close(code, text)
  }

  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    this.#ws.resume()
  }

  drained(): Promise<void> {
    this.flush(performance.now())
    // `drain` comes only after a write was told to wait; below that mark the bytes are few and the next write may follow.
    if (this.#ws.readyState !== WebSocket.OPEN || !this.#socket.writableNeedDrain) return Promise.resolve()
    this.#drained ??= new Promise((resolve) => {
      this.#onDrained = () => {
        this.#drained = undefined
        resolve()
      }
      this.#socket.once('drain', this.#onDrained)
    })
    return this.#drained
  }

  #fellBehind(now: number): void {
    this.#marks ??= []
    const newest = this.#marks.at(-1)
    if (newest !== undefined && now - newest.at < markEveryMs) newest.through = this.#written
    else this.#marks.push({ through: this.#written, at: now })
  }
}

function ignore(): void {}
