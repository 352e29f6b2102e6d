import { createECDH, createPrivateKey, type KeyObject, sign } from 'node:crypto'

/** How this application server identifies itself to push services (RFC 8292). */
export interface VapidSettings {
  /** A point on P-256, uncompressed, in base64url: the `applicationServerKey` of subscriptions. */
  readonly publicKey: string
  /** 32 bytes in base64url. */
  readonly privateKey: string
  /** A `mailto:` or `https:` URI at which the operator of a push service reaches the operator of this one. */
  readonly subject: string
}

const privateKeyBytes = 32
/** How long a token is valid. Push services accept at most 24 h. */
const tokenSeconds = 43_200
/** A token is replaced when less than this is left. Apple asks not to send a new one more often than once an hour. */
const renewBeforeSeconds = 21_600
/** Origins whose token is kept. Members choose endpoints, so their number has no other bound. */
const maxTokens = 1_000

interface Token {
  readonly authorization: string
  readonly expiresAt: number
}

const header = encode({ typ: 'JWT', alg: 'ES256' })

/** Signs requests to push services. */
export class VapidSigner {
  readonly publicKey: string
  readonly #subject: string
  readonly #key: KeyObject
  readonly #tokens = new Map<string, Token>()

  constructor({ publicKey, privateKey, subject }: VapidSettings) {
    this.publicKey = publicKey
    this.#subject = subject
    const point = Buffer.from(publicKey, 'base64url')
    const jwk = {
      kty: 'EC',
      crv: 'P-256',
      d: privateKey,
      x: point.subarray(1, 33).toString('base64url'),
      y: point.subarray(33).toString('base64url'),
    }
    this.#key = createPrivateKey({ key: jwk, format: 'jwk' })
  }

  /** Returns the `Authorization` of requests to an origin, at `now` in Unix seconds. */
  authorization(origin: string, now = Math.floor(Date.now() / 1_000)): string {
    const known = this.#tokens.get(origin)
    if (known && known.expiresAt - now >= renewBeforeSeconds) return known.authorization
    const expiresAt = now + tokenSeconds
    const signed = `${header}.${encode({ aud: origin, exp: expiresAt, sub: this.#subject })}`
    const signature = sign('sha256', Buffer.from(signed), { key: this.#key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    const authorization = `vapid t=${signed}.${signature}, k=${this.publicKey}`
    this.#tokens.delete(origin)
    this.#tokens.set(origin, { authorization, expiresAt })
    const [oldest] = this.#tokens.keys()
    if (this.#tokens.size > maxTokens && oldest !== undefined) this.#tokens.delete(oldest)
    return authorization
  }
}

/** Returns whether two keys in base64url are a pair. */
export function isKeyPair(publicKey: string, privateKey: string): boolean {
  if (Buffer.from(privateKey, 'base64url').length !== privateKeyBytes) return false
  const pair = createECDH('prime256v1')
  try {
    pair.setPrivateKey(privateKey, 'base64url')
    return pair.getPublicKey('base64url') === publicKey
  } catch {
    return false
  }
}

function encode(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url')
}
