import { isUtf8 } from 'node:buffer'
import { decodePublication, type Publication } from '@tidings/protocol'

/** A publication as it came from Redis, fit for a text message: one that is not UTF-8 would break the browser's connection (RFC 6455 §8.1). */
export function readPublication(payload: Uint8Array): Publication {
  const publication = decodePublication(payload)
  const { position, body } = publication
  return isUtf8(body) ? publication : { position, body: Buffer.from(Buffer.from(body).toString()) }
}
