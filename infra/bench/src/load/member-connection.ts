import { connect, type Socket } from 'node:net'
import { nowMicroseconds, timeMarker } from './publication.ts'
import { type Endpoint, openWire, type Wire, type WireOptions } from './wire.ts'

/** What the connections of one group have received. */
export interface Received {
  messages: number
  /** From the time in each message to its arrival. */
  readonly latenciesMs: number[]
}

export interface ConnectionEvents {
  readonly received: Received
  /** Called once, when all subscriptions are confirmed. */
  onReady(): void
  onError(error: Error): void
}

const marker = Buffer.from(timeMarker)
const messageIdHeader = Buffer.from('message-id:')
const endOfHead = Buffer.from('\r\n\r\n')
const lineFeed = 10
/** Bytes of digits that a time has at most. */
const timeLength = 20
/** Opcodes of RFC 6455. */
const opcode = { text: 1, close: 8, ping: 9, pong: 10 } as const
/** Payload lengths that announce a longer length field. */
const length16 = 126
const length64 = 127

/**
 * One session of a member. Reads and writes the socket itself, so that thousands take little CPU time from what is measured. Message
 * bodies are not parsed, only searched for the time of their sending.
 */
export class MemberConnection {
  /** Number of messages received. */
  messages = 0
  readonly #socket: Socket
  readonly #wire: Wire
  readonly #events: ConnectionEvents
  #state: 'upgrading' | 'subscribing' | 'ready' = 'upgrading'
  #incomplete: Buffer | undefined
  /** Last payload that contained messages. Holds the position to resume after. */
  #lastPayload: Buffer | undefined
  readonly #keepsPosition: boolean

  constructor(
    endpoint: Endpoint,
    options: WireOptions & { localAddress: string; keepsPosition: boolean },
    events: ConnectionEvents,
  ) {
    this.#wire = openWire(endpoint, options)
    this.#events = events
    this.#keepsPosition = options.keepsPosition
    this.#socket = connect({ port: endpoint.port, host: '127.0.0.1', localAddress: options.localAddress, noDelay: true })
    this.#socket.on('error', (error) => events.onError(error))
    this.#socket.on('connect', () => this.#upgrade(endpoint.port))
    this.#socket.on('data', (chunk: Buffer) => {
      try {
        this.#receive(chunk)
      } catch (error) {
        events.onError(error as Error)
      }
    })
    this.#socket.on('close', () => this.#state !== 'ready' && events.onError(new Error('closed before it was ready')))
  }

  /** The `message-id` of the last MESSAGE, or undefined. */
  get lastMessageId(): string | undefined {
    const payload = this.#lastPayload
    const at = payload?.lastIndexOf(messageIdHeader) ?? -1
    if (!payload || at === -1) return undefined
    return payload.toString('latin1', at + messageIdHeader.length, payload.indexOf(lineFeed, at))
  }

  close(): void {
    this.#state = 'ready'
    this.#socket.destroy()
  }

  #upgrade(port: number): void {
    const lines = Object.entries(this.#wire.headers).map(([name, value]) => `${name}: ${value}\r\n`)
    this.#socket.write(
      `GET ${this.#wire.path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${lines.join('')}\r\n`,
    )
  }

  #receive(chunk: Buffer): void {
    let bytes = this.#incomplete ? Buffer.concat([this.#incomplete, chunk]) : chunk
    if (this.#state === 'upgrading') {
      const end = bytes.indexOf(endOfHead)
      if (end === -1) {
        this.#incomplete = bytes
        return
      }
      const head = bytes.toString('latin1', 0, end)
      if (!head.startsWith('HTTP/1.1 101')) throw new Error(head)
      this.#state = 'subscribing'
      for (const text of this.#wire.greeting) this.#send(opcode.text, Buffer.from(text))
      bytes = bytes.subarray(end + endOfHead.length)
    }
    this.#incomplete = this.#readFrames(bytes)
  }

  /** Reads all complete frames, which a server never masks, and returns the bytes after them. */
  #readFrames(bytes: Buffer): Buffer | undefined {
    let at = 0
    while (bytes.length - at >= 2) {
      const short = (bytes[at + 1] as number) & 127
      const headLength = short === length16 ? 4 : short === length64 ? 10 : 2
      if (bytes.length - at < headLength) break
      const length =
        short === length16 ? bytes.readUInt16BE(at + 2) : short === length64 ? Number(bytes.readBigUInt64BE(at + 2)) : short
      if (bytes.length - at < headLength + length) break
      const payload = bytes.subarray(at + headLength, at + headLength + length)
      this.#onFrame((bytes[at] as number) & 15, payload)
      at += headLength + length
    }
    return at === bytes.length ? undefined : bytes.subarray(at)
  }

  #onFrame(code: number, payload: Buffer): void {
    if (code === opcode.ping) return this.#send(opcode.pong, payload)
    if (code === opcode.close) throw new Error(`closed by the server: ${payload.toString('utf8', 2)}`)
    if (code === opcode.pong) return
    const messages = this.#countMessages(payload)
    if (messages === 0 || this.#state === 'subscribing') this.#onControl(payload.toString())
  }

  #onControl(text: string): void {
    if (this.#state === 'ready') {
      const pong = this.#wire.pong(text)
      if (pong !== undefined) this.#send(opcode.text, Buffer.from(pong))
      return
    }
    const { send, ready } = this.#wire.receive(text)
    for (const each of send) this.#send(opcode.text, Buffer.from(each))
    if (!ready) return
    this.#state = 'ready'
    this.#events.onReady()
  }

  /** Counts each message by the time that its body contains. */
  #countMessages(payload: Buffer): number {
    let count = 0
    const now = nowMicroseconds()
    for (let at = payload.indexOf(marker); at !== -1; at = payload.indexOf(marker, at)) {
      at += marker.length
      const sentAt = Number.parseInt(payload.toString('latin1', at, at + timeLength), 10)
      this.#events.received.latenciesMs.push((now - sentAt) / 1_000)
      count++
    }
    this.messages += count
    this.#events.received.messages += count
    if (count > 0 && this.#keepsPosition) this.#lastPayload = Buffer.from(payload)
    return count
  }

  /** Writes one frame, masked with zeros, which leave the payload as it is. */
  #send(code: number, payload: Buffer): void {
    const head =
      payload.length < length16
        ? Buffer.from([0x80 | code, 0x80 | payload.length, 0, 0, 0, 0])
        : Buffer.from([0x80 | code, 0x80 | length16, payload.length >> 8, payload.length & 255, 0, 0, 0, 0])
    this.#socket.write(Buffer.concat([head, payload]))
  }
}
