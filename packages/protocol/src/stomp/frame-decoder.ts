import type { FrameLimits } from '../limit.ts'
import { unescapeHeader } from './escape.ts'
import {
  type ClientCommand,
  clientCommands,
  escapesHeaders,
  type Frame,
  FrameError,
  type FrameErrorCode,
  mayHaveBody,
} from './frame.ts'
import { HeldBytes } from './held-bytes.ts'
import type { StompVersion } from './version.ts'

const nul = 0x00
const lineFeed = 0x0a
/** Longest part of a client's text that an error message quotes, in UTF-16 code units. */
const maxQuotedLength = 32
const noBody = new Uint8Array(0)
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * A frame whose bytes have not arrived completely. It exists only from its first byte to its last, so that an idle session needs
 * no memory.
 */
interface PartialFrame<Command> {
  command: Command | undefined
  headers: Map<string, string>
  headerCount: number
  /** Bytes of all complete lines so far, including line ends. */
  headBytes: number
  /** True after the blank line. */
  inBody: boolean
  /** Undefined if the body ends at the first NUL. */
  contentLength: number | undefined
  /** Beginning of the current line, or of the body, from earlier pushes. */
  held: HeldBytes | undefined
}

/**
 * Decodes STOMP 1.0, 1.1 and 1.2 frames from a stream that may be split at any byte.
 *
 * Where the versions differ, or leave a choice (PROTOCOL.md §5, Frame syntax):
 * - Line ends: LF. In 1.2, and before the version is known, also CR LF; any other CR in a line is then malformed. In 1.0 and 1.1
 *   CR is an ordinary octet of a header, and a command or a blank line that ends in CR is malformed (Augmented BNF).
 * - Escapes: none in CONNECT, STOMP and CONNECTED, in 1.0, and before the version is known. An undefined escape is malformed.
 * - Spaces: 1.0 drops them around names and values, because the examples of its specification are padded. 1.1 and 1.2 keep them.
 * - A colon in a value is part of the value. A NUL in a header is malformed; it is nearly always a missing blank line.
 * - Body: SEND, MESSAGE and ERROR only. On other frames 1.0 ignores it ("The body of the SUBSCRIBE command is ignored").
 * - NACK is unknown in 1.0.
 *
 * Each byte is read once, and copied only if its line or body is split across pushes. Buffered bytes never exceed
 * `maxFrameBytes`.
 */
export class FrameDecoder<Command extends string = ClientCommand> {
  /** Set it within `onFrame` of CONNECT (or CONNECTED): it applies from the next frame on. */
  version: StompVersion | undefined = undefined
  readonly #limits: FrameLimits
  readonly #commands: ReadonlySet<string>
  #frame: PartialFrame<Command> | undefined = undefined
  #failure: FrameError | undefined = undefined

  /** `commands` are the commands that the other side may send. The default is for a server; a client passes `serverCommands`. */
  constructor(
    limits: FrameLimits,
    commands: ReadonlySet<Command> = clientCommands as ReadonlySet<string> as ReadonlySet<Command>,
  ) {
    this.#limits = limits
    this.#commands = commands
  }

  /**
   * Calls `onFrame` synchronously for each frame that `bytes` completes, in order. A body that arrives in one push shares the
   * memory of `bytes`; copy it to keep it after `bytes` is written again. An error that `onFrame` throws ends the push, and the
   * rest of `bytes` is lost.
   *
   * @throws FrameError for bytes that are not a valid frame or exceed a limit. Every later push throws the same error.
   */
  push(bytes: Uint8Array, onFrame: (frame: Frame<Command>) => void): void {
    if (this.#failure) throw this.#failure
    let at = 0
    while (at < bytes.length) {
      if (!this.#frame && bytes[at] === lineFeed) {
        at++ // A heart-beat, or a line end after the last frame.
        continue
      }
      this.#frame ??= newFrame()
      at = this.#frame.inBody ? this.#readBody(this.#frame, bytes, at, onFrame) : this.#readLine(this.#frame, bytes, at)
    }
  }

  /** Reads to the end of the line or of `bytes`. Returns the index of the next byte to read. */
  #readLine(frame: PartialFrame<Command>, bytes: Uint8Array, start: number): number {
    const { maxHeaderBytes, maxFrameBytes } = this.#limits
    const room = Math.min(maxHeaderBytes, maxFrameBytes - frame.headBytes) - (frame.held?.length ?? 0)
    let end = start
    while (end < bytes.length && bytes[end] !== lineFeed) {
      if (bytes[end] === nul) throw this.#refuse('malformed', 'NUL before the blank line that ends the headers')
      if (end - start >= room) throw this.#lineTooLong(frame)
      end++
    }
    if (end === bytes.length) {
      this.#hold(frame, bytes.subarray(start), Math.min(maxHeaderBytes, maxFrameBytes))
      return end
    }
    const line = this.#withHeld(frame, bytes.subarray(start, end))
    frame.headBytes += line.length + 1
    if (frame.headBytes > maxFrameBytes) throw this.#tooLarge()
    this.#takeLine(frame, this.#decodedLine(line))
    return end + 1
  }

  #takeLine(frame: PartialFrame<Command>, line: string): void {
    if (frame.command === undefined) this.#takeCommand(frame, line)
    else if (line === '') this.#takeBlankLine(frame)
    else this.#takeHeader(frame, line)
  }

  #takeCommand(frame: PartialFrame<Command>, line: string): void {
    if (line === '') {
      this.#frame = undefined // CR LF between frames.
      return
    }
    this.#refuseCarriageReturn(line)
    if (!this.#knows(line)) throw this.#refuse('unknown-command', `unknown command ${quoted(line)}`)
    frame.command = line
  }

  #takeHeader(frame: PartialFrame<Command>, line: string): void {
    if (line === '\r') this.#refuseCarriageReturn(line)
    frame.headerCount++
    if (frame.headerCount > this.#limits.maxHeaders) {
      throw this.#refuse('too-many-headers', `more than ${this.#limits.maxHeaders} headers (MAX_HEADERS)`)
    }
    const colon = line.indexOf(':')
    if (colon < 0) throw this.#refuse('malformed', `header without a colon: ${quoted(line)}`)
    const name = this.#unescaped(frame, line.slice(0, colon))
    if (name === '') throw this.#refuse('malformed', 'header without a name')
    const value = this.#unescaped(frame, line.slice(colon + 1))
    if (!frame.headers.has(name)) frame.headers.set(name, value)
  }

  #takeBlankLine(frame: PartialFrame<Command>): void {
    frame.inBody = true
    const contentLength = frame.headers.get('content-length')
    if (contentLength === undefined) return
    if (!/^\d+$/.test(contentLength)) {
      throw this.#refuse('malformed', `content-length is not a number of bytes: ${quoted(contentLength)}`)
    }
    frame.contentLength = Number(contentLength)
    if (frame.contentLength > 0) this.#refuseBodyless(frame)
    if (frame.headBytes + frame.contentLength > this.#limits.maxFrameBytes) throw this.#tooLarge()
  }

  /** Reads to the end of the frame or of `bytes`. Returns the index of the next byte to read. */
  #readBody(frame: PartialFrame<Command>, bytes: Uint8Array, start: number, onFrame: (frame: Frame<Command>) => void): number {
    const { maxFrameBytes } = this.#limits
    const held = frame.held?.length ?? 0
    const found = frame.contentLength === undefined ? bytes.indexOf(nul, start) : start + frame.contentLength - held
    const end = found < 0 || found > bytes.length ? bytes.length : found
    if (end > start) this.#refuseBodyless(frame)
    if (frame.headBytes + held + end - start > maxFrameBytes) throw this.#tooLarge()
    if (end === bytes.length) {
      this.#hold(frame, bytes.subarray(start), frame.contentLength ?? maxFrameBytes - frame.headBytes)
      return end
    }
    if (bytes[end] !== nul) throw this.#refuse('malformed', `no NUL after the ${frame.contentLength} bytes of content-length`)
    const body = this.#withHeld(frame, bytes.subarray(start, end))
    const command = frame.command as Command
    // Cleared before the callback, which may throw: the next byte begins a new frame.
    this.#frame = undefined
    onFrame({ command, headers: frame.headers, body: body.length > 0 && mayHaveBody(command) ? body : noBody })
    return end + 1
  }

  #hold(frame: PartialFrame<Command>, bytes: Uint8Array, maxLength: number): void {
    if (frame.held) frame.held.append(bytes, maxLength)
    else if (bytes.length > 0) frame.held = new HeldBytes(bytes)
  }

  #withHeld(frame: PartialFrame<Command>, rest: Uint8Array): Uint8Array {
    const { held } = frame
    if (!held) return rest
    frame.held = undefined
    held.append(rest, held.length + rest.length)
    return held.view()
  }

  #knows(command: string): command is Command {
    return this.#commands.has(command) && !(command === 'NACK' && this.version === '1.0')
  }

  /** Decodes a line. Drops the CR of a CR LF, in versions that have CR LF. */
  #decodedLine(line: Uint8Array): string {
    let text: string
    try {
      text = utf8.decode(line)
    } catch {
      throw this.#refuse('malformed', 'command or header is not UTF-8')
    }
    if (!this.#allowsCrLf()) return text
    const end = text.endsWith('\r') ? text.length - 1 : text.length
    const carriageReturn = text.indexOf('\r')
    if (carriageReturn >= 0 && carriageReturn < end) throw this.#refuse('malformed', 'CR without LF in a command or header')
    return text.slice(0, end)
  }

  /** Unescapes, or in 1.0 trims, a header name or value. */
  #unescaped(frame: PartialFrame<Command>, text: string): string {
    if (this.version === '1.0') return withoutPadding(text)
    if (this.version === undefined || !escapesHeaders(frame.command as string)) return text
    const plain = unescapeHeader(text, this.version)
    if (plain === undefined) throw this.#refuse('malformed', `undefined escape in a header: ${quoted(text)}`)
    return plain
  }

  #allowsCrLf(): boolean {
    return this.version === undefined || this.version === '1.2'
  }

  #refuseCarriageReturn(line: string): void {
    if (!line.endsWith('\r')) return
    throw this.#refuse('malformed', `line ends in CR LF, which STOMP ${this.version} does not have`)
  }

  #refuseBodyless(frame: PartialFrame<Command>): void {
    const command = frame.command as Command
    if (!mayHaveBody(command) && this.version !== '1.0') throw this.#refuse('malformed', `a ${command} frame has no body`)
  }

  #lineTooLong(frame: PartialFrame<Command>): FrameError {
    const { maxHeaderBytes, maxFrameBytes } = this.#limits
    if (maxFrameBytes - frame.headBytes < maxHeaderBytes) return this.#tooLarge()
    return this.#refuse('header-too-long', `command or header longer than ${maxHeaderBytes} bytes (MAX_HEADER_BYTES)`)
  }

  #tooLarge(): FrameError {
    return this.#refuse('too-large', `frame larger than ${this.#limits.maxFrameBytes} bytes (MAX_FRAME_BYTES)`)
  }

  #refuse(code: FrameErrorCode, reason: string): FrameError {
    this.#failure = new FrameError(code, reason, this.#frame?.command, this.#frame?.headers.get('receipt'))
    this.#frame = undefined
    return this.#failure
  }
}

function newFrame<Command>(): PartialFrame<Command> {
  return {
    command: undefined,
    headers: new Map(),
    headerCount: 0,
    headBytes: 0,
    inBody: false,
    contentLength: undefined,
    held: undefined,
  }
}

/** Returns a client's text in quotes for an error message, shortened and in printable ASCII. */
function quoted(text: string): string {
  const start = text.slice(0, maxQuotedLength).replace(/[^\u0020-\u007e]/g, '?')
  return `"${start}"${text.length > maxQuotedLength ? '...' : ''}`
}

function withoutPadding(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isPadding(text[start])) start++
  while (end > start && isPadding(text[end - 1])) end--
  return text.slice(start, end)
}

function isPadding(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}
