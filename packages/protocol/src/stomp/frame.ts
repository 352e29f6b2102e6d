const clientCommandNames = [
  'CONNECT',
  'STOMP',
  'SEND',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'ACK',
  'NACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'DISCONNECT',
] as const

/** A command that a client sends (STOMP 1.2, Client Frames). */
export type ClientCommand = (typeof clientCommandNames)[number]

/** Every command that a client sends. */
export const clientCommands: ReadonlySet<ClientCommand> = new Set(clientCommandNames)

const serverCommandNames = ['CONNECTED', 'MESSAGE', 'RECEIPT', 'ERROR'] as const

/** A command that a server sends (STOMP 1.2, Server Frames). */
export type ServerCommand = (typeof serverCommandNames)[number]

/** Every command that a server sends. */
export const serverCommands: ReadonlySet<ServerCommand> = new Set(serverCommandNames)

/**
 * Headers of one frame, in the order of their arrival. The first of a repeated header counts (STOMP 1.2, Repeated Header
 * Entries).
 */
export type StompHeaders = ReadonlyMap<string, string>

/**
 * One decoded STOMP frame. `body` is empty for a frame without a body; it may share memory with the bytes it was decoded from.
 */
export interface Frame<Command extends string = string> {
  readonly command: Command
  readonly headers: StompHeaders
  readonly body: Uint8Array
}

const commandsWithBody = new Set(['SEND', 'MESSAGE', 'ERROR'])
const handshakeCommands = new Set(['CONNECT', 'STOMP', 'CONNECTED'])

/** Returns whether a frame may have a body: "Only the SEND, MESSAGE, and ERROR frames MAY have a body" (STOMP 1.2, Body). */
export function mayHaveBody(command: string): boolean {
  return commandsWithBody.has(command)
}

/**
 * Returns whether the headers of a frame are escaped: "All frames except the CONNECT and CONNECTED frames will also escape"
 * (STOMP 1.2, Value Encoding). STOMP is handled like CONNECT.
 */
export function escapesHeaders(command: string): boolean {
  return !handshakeCommands.has(command)
}

/** Kind of violation that a {@link FrameError} reports. */
export type FrameErrorCode = 'malformed' | 'unknown-command' | 'too-many-headers' | 'header-too-long' | 'too-large'

/**
 * Error of bytes that are not a valid frame. `message` is printable ASCII, states the violation, and names the exceeded limit.
 */
export class FrameError extends Error {
  readonly code: FrameErrorCode
  /** Command of the frame, if it was decoded before the error. */
  readonly command: string | undefined
  /** Value of the `receipt` header, if it was decoded before the error. The ERROR frame returns it as `receipt-id`. */
  readonly receipt: string | undefined

  constructor(code: FrameErrorCode, reason: string, command?: string, receipt?: string) {
    super(reason)
    this.name = 'FrameError'
    this.code = code
    this.command = command
    this.receipt = receipt
  }
}
