import { escapeHeader } from './escape.ts'
import { escapesHeaders, mayHaveBody } from './frame.ts'
import type { StompVersion } from './version.ts'

/** A frame to be written. A decoded `Frame` is one. */
export interface OutgoingFrame {
  readonly command: string
  /** In the order they are to be written; a `Map` or an array of pairs. */
  readonly headers: Iterable<readonly [name: string, value: string]>
  readonly body?: Uint8Array | string | undefined
}

const encoder = new TextEncoder()
const noBody = new Uint8Array(0)

/**
 * Writes one frame. A SEND, MESSAGE or ERROR with a body gets its `content-length`, unless the headers hold it.
 * `version` undefined is the time before CONNECTED: nothing is escaped then.
 *
 * @throws RangeError for a frame that cannot be written as it is: a body on a frame that has none, a false `content-length`, an
 * empty header name, or a header that the version cannot express (`escapeHeader`).
 */
export function encodeFrame(frame: OutgoingFrame, version: StompVersion | undefined): Uint8Array {
  const { command } = frame
  const body = typeof frame.body === 'string' ? encoder.encode(frame.body) : (frame.body ?? noBody)
  if (body.length > 0 && !mayHaveBody(command)) throw new RangeError(`a STOMP ${command} frame has no body`)
  const escaping = version !== undefined && escapesHeaders(command) ? version : '1.0'
  const handshake = !escapesHeaders(command)

  let head = `${command}\n`
  let contentLength: string | undefined
  for (const [name, value] of frame.headers) {
    if (name === '') throw new RangeError('a STOMP header needs a name')
    // Nothing is escaped here, and a CR might be read as part of the line end.
    if (escaping === '1.0' && name.includes(':')) throw new RangeError('a colon in a STOMP header name needs escaping')
    if (handshake && (name.includes('\r') || value.includes('\r'))) {
      throw new RangeError(`a STOMP ${command} header cannot hold a carriage return`)
    }
    head += `${escapeHeader(name, escaping)}:${escapeHeader(value, escaping)}\n`
    if (name === 'content-length') contentLength ??= value
  }
  if (contentLength !== undefined && contentLength !== String(body.length)) {
    throw new RangeError(`content-length:${contentLength} does not fit a body of ${body.length} bytes`)
  }
  if (contentLength === undefined && frame.body !== undefined && mayHaveBody(command)) head += `content-length:${body.length}\n`

  const headBytes = encoder.encode(`${head}\n`)
  const bytes = new Uint8Array(headBytes.length + body.length + 1)
  bytes.set(headBytes)
  bytes.set(body, headBytes.length)
  return bytes
}
