/** A `traceparent` of version 00 (W3C Trace Context §3.2), or of a later version, which may have more fields. */
const pattern = /^(?!ff)[0-9a-f]{2}(-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:$|-)/

/** Length of a `traceparent` of version 00. */
export const traceparentLength = 55

/** Returns a `traceparent` as one of version 00; undefined when it is not valid. */
export function parseTraceparent(header: unknown): string | undefined {
  if (typeof header !== 'string') return undefined
  const fields = pattern.exec(header)?.[1]
  if (fields === undefined || (header.startsWith('00') && header.length > traceparentLength)) return undefined
  return `00${fields}`
}

/** Returns the trace id in a `traceparent` of version 00. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35)
}

/** Returns the part of a publication that follows the position (PROTOCOL.md §3). */
export function tracedBody(traceparent: string | undefined, body: string): string {
  return traceparent === undefined ? body : `${traceparent}\n${body}`
}
