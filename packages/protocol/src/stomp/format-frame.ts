import { escapeHeader } from './escape.ts'
import { escapesHeaders, mayHaveBody } from './frame.ts'
import type { StompVersion } from './version.ts'

/** A frame to be written. */
export interface OutgoingFrame {
  readonly command: string
  /** In the order they are to be written; a `Map` or an array of pairs. */
  readonly headers: Iterable<readonly [name: string, value: string]>
  readonly body?: string | undefined
}

const encoder = new TextEncoder()

/**
 * Writes one frame, NUL included, as text: it goes on the wire in UTF-8. A SEND, MESSAGE or ERROR with a body gets its
 * `content-length`, unless the headers hold it. `version` undefined is the time before CONNECTED: nothing is escaped then.
 *
 * @throws RangeError for a frame that cannot be written as it is: a body on a frame that has none, a false `content-length`, an
 * empty header name, or a header that the version cannot express (`escapeHeader`).
 */
export function formatFrame({ command, headers, body }: OutgoingFrame, version: StompVersion | undefined): string {
  if (body && !mayHaveBody(command)) throw new RangeError(`a STOMP ${command} frame has no body`)
  const bodyBytes = body ? encoder.encode(body).length : 0
  const escaping = version !== undefined && escapesHeaders(command) ? version : '1.0'
  const handshake = !escapesHeaders(command)

  let head = `${command}\n`
  let contentLength: string | undefined
  for (const [name, value] of headers) {
    if (name === '') throw new RangeError('a STOMP header needs a name')
    // Nothing is escaped here, and a CR might be read as part of the line end.
    if (escaping === '1.0' && name.includes(':')) throw new RangeError('a colon in a STOMP header name needs escaping')
    if (handshake && (name.includes('\r') || value.includes('\r'))) {
      throw new RangeError(`a STOMP ${command} header cannot hold a carriage return`)
    }
    head += `${escapeHeader(name, escaping)}:${escapeHeader(value, escaping)}\n`
    if (name === 'content-length') contentLength ??= value
  }
  if (contentLength !== undefined && contentLength !== String(bodyBytes)) {
    throw new RangeError(`content-length:${contentLength} does not fit a body of ${bodyBytes} bytes`)
  }
  if (contentLength === undefined && body !== undefined && mayHaveBody(command)) head += `content-length:${bodyBytes}\n`
  return `${head}\n${body ?? ''}\0`
}
