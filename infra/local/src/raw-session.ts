import type { IncomingMessage } from 'node:http'
import { FrameDecoder, type ServerCommand, type StompHeaders, type StompVersion, serverCommands } from '@tidings/protocol'
import { WebSocket } from 'ws'
import { Inbox } from './inbox.ts'
import { localOrigin } from './origin.ts'

/** A frame from the server, its body as text. */
export interface ServerFrame {
  readonly command: ServerCommand
  readonly headers: StompHeaders
  readonly body: string
}

/** Response to an upgrade that the server refused. */
export interface RefusedUpgrade {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Upgrade {
  /** Sent as the cookie `access_token`. */
  readonly token?: string
  /** The whole Cookie header, instead of `token`. */
  readonly cookie?: string
  /** {@link localOrigin} by default; null sends none. */
  readonly origin?: string | null
  readonly protocols?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}

const limits = { maxFrameBytes: 16_777_216, maxHeaders: 1_000, maxHeaderBytes: 65_536 }
const defaultDeadlineMs = 10_000

/** A WebSocket to a gateway for tests: sends exactly the given bytes, and keeps every received frame until it is read. */
export class RawSession {
  readonly socket: WebSocket
  /** Every WebSocket message as received, heart-beats (`\n`) included. */
  readonly received: string[] = []
  readonly #frames = new Inbox<ServerFrame>()
  readonly #closed: Promise<{ code: number; reason: string }>

  constructor(socket: WebSocket) {
    this.socket = socket
    const decoder = new FrameDecoder<ServerCommand>(limits, serverCommands)
    const text = new TextDecoder()
    socket.on('message', (data: Buffer) => {
      this.received.push(data.toString())
      decoder.push(data, ({ command, headers, body }) => {
        if (command === 'CONNECTED') decoder.version = headers.get('version') as StompVersion
        this.#frames.push({ command, headers, body: text.decode(body) })
      })
    })
    socket.on('error', (error) => this.#frames.end(error.message))
    this.#closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.#frames.end(`closed with ${code} ${reason.toString()}`)
        resolve({ code, reason: reason.toString() })
      })
    })
  }

  /** The subprotocol that the server chose. */
  get protocol(): string {
    return this.socket.protocol
  }

  /** Number of frames that have not been read yet. */
  get framesWaiting(): number {
    return this.#frames.waiting
  }

  /** Sends one WebSocket message, binary for bytes. The caller writes the `\0` at the end of STOMP frames. */
  sends(message: string | Uint8Array): void {
    this.socket.send(message)
  }

  /** Resolves to the next frame. Rejects after the deadline, or when the connection is closed and no frame is left. */
  nextFrame(deadlineMs = defaultDeadlineMs): Promise<ServerFrame> {
    return this.#frames.next(deadlineMs, 'frame')
  }

  /** Resolves to the close code and reason; rejects after the deadline. */
  async closed(deadlineMs = defaultDeadlineMs): Promise<{ code: number; reason: string }> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`still open after ${deadlineMs} ms`)), deadlineMs)
    })
    return Promise.race([this.#closed, late]).finally(() => clearTimeout(timer))
  }

  /** Closes the WebSocket as a browser does when its page is left, and waits for the close. */
  async leaves(code = 1000): Promise<void> {
    this.socket.close(code)
    await this.closed()
  }
}

/** Opens `/ws` of this server (`http://…` or `ws://…`). Resolves to a {@link RefusedUpgrade} when the server refuses. */
export function openRawSession(url: string, upgrade: Upgrade = {}): Promise<RawSession | RefusedUpgrade> {
  const { token, cookie = token && `access_token=${token}`, origin = localOrigin, protocols = ['v12.stomp'], headers } = upgrade
  const target = new URL('/ws', url.replace(/^http/, 'ws'))
  const socket = new WebSocket(target, [...protocols], {
    headers: { ...(cookie && { cookie }), ...(origin !== null && { origin }), ...headers },
    perMessageDeflate: false,
    handshakeTimeout: 10_000,
  })
  // Created before the socket opens: a message may arrive in the same turn.
  const session = new RawSession(socket)
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(session))
    socket.once('error', reject)
    socket.once('unexpected-response', (_, response: IncomingMessage) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (body += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
  })
}
