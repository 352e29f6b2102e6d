import type { Socket } from 'node:net'
import type { CloseCode } from '@tidings/protocol'
import { WebSocket } from 'ws'
import type { Metrics } from '../ops/metrics.ts'
import type { Transport, TransportListener } from './transport.ts'

/** RFC 6455 §5.5: a close reason is at most 123 bytes. */
const maxReasonBytes = 123
/** Waiting messages longer than this are written immediately: collecting those of a tick pays off only while they are small. */
const maxWaitingBytes = 65_536
/** Resolution of `bufferedSince`. */
const markEveryMs = 1_000

/** What the transports of a process share. */
export interface TransportDeps {
  readonly batch: WriteBatch
  readonly maxBufferedBytes: number
}

/** Collects the transports that were sent something in this tick and flushes each once, so that a burst is one write per socket. */
export class WriteBatch {
  readonly #metrics: Metrics
  #waiting: WebSocketTransport[] = []
  #startedAt = 0

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  add(transport: WebSocketTransport): void {
    // All publications of one read from Redis arrive in one tick; nextTick runs right after them, before any other I/O.
    if (this.#waiting.push(transport) > 1) return
    this.#startedAt = performance.now()
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    const now = performance.now()
    let bytes = 0
    for (const transport of waiting) bytes += transport.flush(now)
    this.#metrics.flushed(bytes, (performance.now() - this.#startedAt) / 1_000)
  }
}

/** A transport over `ws`, in the only file that uses it. Messages are written to the raw socket; `ws` reads, pings and closes. */
export class WebSocketTransport implements Transport {
  sentAt = performance.now()
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #batch: WriteBatch
  readonly #maxBufferedBytes: number
  #listener: TransportListener | undefined = undefined
  #waiting: Buffer | Buffer[] | undefined = undefined
  #waitingBytes = 0
  /** Length of a snapshot that the client has not read yet. */
  #snapshotBytes = 0
  /** Bytes written to the socket so far. */
  #written = 0
  /** Set while bytes are buffered, oldest first: the bytes up to `through` were written within `markEveryMs` from `at`. */
  #marks: { through: number; readonly at: number }[] | undefined = undefined
  #drained: Promise<void> | undefined = undefined
  #onDrained: (() => void) | undefined = undefined

  constructor(ws: WebSocket, socket: Socket, { batch, maxBufferedBytes }: TransportDeps) {
    this.#ws = ws
    this.#socket = socket
    this.#batch = batch
    this.#maxBufferedBytes = maxBufferedBytes
  }

  /** Must be called in the tick of the upgrade, or the first messages are lost. */
  listen(listener: TransportListener): void {
    const ws = this.#ws
    this.#listener = listener
    ws.on('message', (data) => listener.onBytes(data as Buffer))
    ws.on('pong', () => listener.onActivity())
    ws.on('ping', () => listener.onActivity())
    // A malformed WebSocket frame: `ws` has sent the close frame for it, and `close` follows.
    ws.on('error', ignore)
    ws.on('close', (code) => {
      this.#onDrained?.()
      listener.onClosed(code)
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
    this.#enqueue(message)
    if (this.bufferedBytes > this.#maxBufferedBytes + this.#snapshotBytes) this.#listener?.onOverflow()
  }

  async sendSnapshot(message: Buffer): Promise<void> {
    this.#snapshotBytes = message.length
    this.send(message)
    await this.drained()
    this.#snapshotBytes = 0
  }

  #enqueue(message: Buffer): void {
    this.#waitingBytes += message.length
    if (this.#waiting === undefined) {
      this.#waiting = message
      this.#batch.add(this)
    } else if (Array.isArray(this.#waiting)) this.#waiting.push(message)
    else this.#waiting = [this.#waiting, message]
    if (this.#waitingBytes > maxWaitingBytes) this.flush(performance.now())
  }

  /** Writes what was sent in this tick, and returns its length in bytes. */
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
    // `sentAt` is not updated: a page does not see pings, so it still needs the heart-beat.
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping()
  }

  close(code: CloseCode, reason: string, last?: Buffer): void {
    if (last !== undefined && this.#ws.readyState === WebSocket.OPEN) this.#enqueue(last)
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
    // Node emits `drain` only after `write` returned false; below that mark few bytes are buffered, and the next write may follow.
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
