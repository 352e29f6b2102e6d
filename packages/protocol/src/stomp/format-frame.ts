import { escapeHeader } from './escape.ts'
import { escapesHeaders, mayHaveBody } from './frame.ts'
import type { StompVersion } from './version.ts'

/** A frame to be encoded. */
export interface OutgoingFrame {
  readonly command: string
  /** Headers in the order in which they are written, for example a `Map` or an array of pairs. */
  readonly headers: Iterable<readonly [name: string, value: string]>
  readonly body?: string | undefined
}

const encoder = new TextEncoder()

/**
 * Returns one frame as text, including its NUL; the caller sends it in UTF-8. `content-length` is added to a SEND, MESSAGE or
 * ERROR with a `body`, unless the headers contain it. `version` is undefined before CONNECTED; nothing is escaped then.
 *
 * @throws RangeError for a frame that cannot be encoded: a body on a frame that has none, a `content-length` that differs from
 * the length of the body, an empty header name, or a header that the version cannot express (see {@link escapeHeader}).
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
    if (escaping === '1.0' && name.includes(':')) throw new RangeError('a colon in a STOMP header name needs escaping')
    // The headers of the handshake are not escaped, and a receiver could take a CR for a part of the line end.
    if (handshake && (name.includes('\r') || value.includes('\r'))) {
      throw new RangeError(`a STOMP ${command} header cannot hold a carriage return`)
    }
    head += `${escapeHeader(name, escaping)}:${escapeHeader(value, escaping)}\n`
    if (name === 'content-length') contentLength ??= value
  }
  if (contentLength !== undefined && contentLength !== String(bodyBytes)) {
    throw new RangeError(`content-length:${contentLength} does not match a body of ${bodyBytes} bytes`)
  }
  if (contentLength === undefined && body !== undefined && mayHaveBody(command)) head += `content-length:${bodyBytes}\n`
  return `${head}\n${body ?? ''}\0`
}
