import { formatPosition, type Position } from './position.ts'
import { parseTraceparent, tracedBody, traceparentLength } from './traceparent.ts'

/**
 * A body published on a channel (PROTOCOL.md §3). `position` is undefined if another program has published plain JSON on the
 * channel.
 */
export interface Publication {
  readonly position: Position | undefined
  readonly body: Uint8Array
  /** Trace of the request that published it (W3C Trace Context), if it had one. */
  readonly traceparent?: string | undefined
}

const lineFeed = 0x0a
const hyphen = 0x2d
const digitZero = 0x30
/** Longest epoch or offset, so that both are exact as a number. */
const maxDigits = 15
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/**
 * Decodes `<epoch>-<offset>\n<body>`, or `<epoch>-<offset>\n<traceparent>\n<body>`. Any other payload is a body without a position. The body
 * shares the memory of `payload`.
 * It compares bytes and decodes no text, because it runs once for every publication that reaches a gateway.
 */
export function decodePublication(payload: Uint8Array): Publication {
  const epoch = digits(payload, 0)
  if (epoch.end === 0 || payload[epoch.end] !== hyphen) return { position: undefined, body: payload }
  const offset = digits(payload, epoch.end + 1)
  if (offset.end === epoch.end + 1 || payload[offset.end] !== lineFeed) return { position: undefined, body: payload }
  const begin = offset.end + 1
  const traceparent = traceparentAt(payload, begin)
  const bodyBegin = traceparent === undefined ? begin : begin + traceparentLength + 1
  return { position: { epoch: epoch.value, offset: offset.value }, body: payload.subarray(bodyBegin), traceparent }
}

/** Encodes a publication in UTF-8. */
export function encodePublication(position: Position, body: string, traceparent?: string): Uint8Array {
  return encoder.encode(`${formatPosition(position)}\n${tracedBody(traceparent, body)}`)
}

/** Returns the `traceparent` in the line that begins at `at`. No JSON begins with two zeros. */
function traceparentAt(bytes: Uint8Array, at: number): string | undefined {
  if (bytes[at] !== digitZero || bytes[at + 1] !== digitZero) return undefined
  const end = at + traceparentLength
  return bytes[end] === lineFeed ? parseTraceparent(decoder.decode(bytes.subarray(at, end))) : undefined
}

/**
 * Reads at most {@link maxDigits} decimal digits. `end` is the index after the last digit; it equals `start` if there is none.
 */
function digits(bytes: Uint8Array, start: number): { value: number; end: number } {
  let value = 0
  let end = start
  while (end < bytes.length && end - start < maxDigits) {
    const digit = (bytes[end] as number) - digitZero
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
    end++
  }
  return { value, end }
}
