import { isUtf8 } from 'node:buffer'
import { decodePublication, type Publication } from '@tidings/protocol'

/** Returns a publication from Redis with a body in valid UTF-8. Any other would make a browser fail the connection (RFC 6455 §8.1). */
export function readPublication(payload: Uint8Array): Publication {
  const publication = decodePublication(payload)
  const { body } = publication
  return isUtf8(body) ? publication : { ...publication, body: Buffer.from(Buffer.from(body).toString()) }
}
