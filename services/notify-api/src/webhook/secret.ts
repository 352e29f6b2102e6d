import { createHmac } from 'node:crypto'
import { z } from 'zod'

/** As Standard Webhooks specify. */
const keyBytes = { least: 24, most: 64 }
/** Each adds a signature to every request. */
const maxSecrets = 4

/** Schema of one or several secrets of a webhook. Each becomes its key. A refusal contains no part of the value. */
export const webhookSecrets = z
  .string()
  .transform((text) =>
    text
      .split(/[\s,]+/)
      .filter((secret) => secret !== '')
      .map(keyOf),
  )
  .refine((keys) => keys.length > 0 && keys.every(isLongEnough), {
    error: 'must be whsec_ and the base64 of 24 to 64 bytes, several with spaces or commas between them',
  })
  .refine((keys) => keys.length <= maxSecrets, `has more than ${maxSecrets} secrets`)

/** Returns the key of a secret; an empty one when it is not valid. */
function keyOf(secret: string): Buffer {
  return Buffer.from(/^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1] ?? '', 'base64')
}

function isLongEnough({ length }: Buffer): boolean {
  return length >= keyBytes.least && length <= keyBytes.most
}

/**
 * Returns the header `webhook-signature`: a signature by each key, so that a receiver may replace its secret at any time of a rotation.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function signaturesOf(keys: readonly Buffer[], id: string, timestampSeconds: number, body: string): string {
  const signed = `${id}.${timestampSeconds}.${body}`
  return keys.map((key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`).join(' ')
}
