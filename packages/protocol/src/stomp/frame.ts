export type ClientCommand =
  | 'CONNECT'
  | 'STOMP'
  | 'SEND'
  | 'SUBSCRIBE'
  | 'UNSUBSCRIBE'
  | 'ACK'
  | 'NACK'
  | 'BEGIN'
  | 'COMMIT'
  | 'ABORT'
  | 'DISCONNECT'

export type ServerCommand = 'CONNECTED' | 'MESSAGE' | 'RECEIPT' | 'ERROR'

export const clientCommands: ReadonlySet<ClientCommand> = new Set([
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
] as const)

export const serverCommands: ReadonlySet<ServerCommand> = new Set(['CONNECTED', 'MESSAGE', 'RECEIPT', 'ERROR'] as const)

/** Headers of one frame in the order they came. Of a repeated header the first counts (STOMP 1.2, Repeated Header Entries). */
export type StompHeaders = ReadonlyMap<string, string>

/** One unit of STOMP. The body is empty where none came; it may share memory with the bytes it was read from. */
export interface Frame<Command extends string = string> {
  readonly command: Command
  readonly headers: StompHeaders
  readonly body: Uint8Array
}

const bodied = new Set(['SEND', 'MESSAGE', 'ERROR'])
const unescaped = new Set(['CONNECT', 'STOMP', 'CONNECTED'])

/** "Only the SEND, MESSAGE, and ERROR frames MAY have a body" (STOMP 1.2, Value Encoding). */
export function mayHaveBody(command: string): boolean {
  return bodied.has(command)
}

/** "All frames except the CONNECT and CONNECTED frames will also escape" (STOMP 1.2, Value Encoding); STOMP is another CONNECT. */
export function escapesHeaders(command: string): boolean {
  return !unescaped.has(command)
}

export type FrameErrorCode = 'malformed' | 'unknown-command' | 'too-many-headers' | 'header-too-long' | 'too-large'

/** Why bytes are no frame. The message is printable ASCII, says what was wrong, and names the limit where it was one. */
export class FrameError extends Error {
  readonly code: FrameErrorCode
  /** The command, once it was read. */
  readonly command: string | undefined
  /** The `receipt` header, once it was read: the ERROR names it as `receipt-id`. */
  readonly receipt: string | undefined

  constructor(code: FrameErrorCode, reason: string, command?: string, receipt?: string) {
    super(reason)
    this.name = 'FrameError'
    this.code = code
    this.command = command
    this.receipt = receipt
  }
}
