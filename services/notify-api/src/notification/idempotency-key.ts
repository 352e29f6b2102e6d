import { createHash } from 'node:crypto'

/** Identifies a request that is carried out once. Both hashes are hexadecimal SHA-256. */
export interface IdempotencyKey {
  /** Of the caller and its `Idempotency-Key`. */
  readonly keyHash: string
  /** Of the call and its body: another request with the same key is refused. */
  readonly requestHash: string
}

interface Body {
  readonly data?: Readonly<Record<string, unknown>> | undefined
}

/**
 * Hashes the `Idempotency-Key` header of a request. `call` is part of the stored hash, e.g. `POST /notification/send`. Bodies whose `data`
 * differs only in the order of keys have the same hash; the schema has put the other keys in order.
 */
export function hashKey(caller: string, header: string, call: string, body: Body): IdempotencyKey {
  const canonical = body.data ? { ...body, data: withSortedKeys(body.data) } : body
  return { keyHash: hash(`${caller}\n${header}`), requestHash: hash(`${call}\n${JSON.stringify(canonical)}`) }
}

/** Recursive: the schema bounds the depth. */
function withSortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSortedKeys)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, entry]) => [key, withSortedKeys(entry)]))
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
