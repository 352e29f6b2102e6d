import { createHash } from 'node:crypto'

/** Identifies a request that is carried out once. Both hashes are hexadecimal SHA-256. */
export interface IdempotencyKey {
  /** Of the caller and its `Idempotency-Key`. */
  readonly keyHash: string
  /** Of the call and its body: another request with the same key is refused. */
  readonly requestHash: string
}

/** Hashes the `Idempotency-Key` header of a request. `call` is part of the stored hash, e.g. `POST /notification/send`. */
export function hashKey(caller: string, header: string, call: string, body: unknown): IdempotencyKey {
  return { keyHash: hash(`${caller}\n${header}`), requestHash: hash(`${call}\n${JSON.stringify(body)}`) }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
