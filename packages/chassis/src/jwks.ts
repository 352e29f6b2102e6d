import { createPublicKey, type KeyObject } from 'node:crypto'
import { createDecoder } from 'fast-jwt'
import { z } from 'zod'
import type { TokenVerifier, Verdict } from './token.ts'

const refreshMs = 600_000
const cooldownMs = 10_000
const fetchTimeoutMs = 5_000
const maxKeys = 100
const maxResponseBytes = 1_048_576

const KeySet = z.object({ keys: z.array(z.looseObject({ kid: z.string().optional(), use: z.string().optional() })).max(maxKeys) })

const decodeToken = createDecoder({ complete: true })

/**
 * The keys at a JWKS URL (RFC 7517). They are read again every ten minutes, and when a token names a key that is not known, but
 * not more often than every ten seconds, so that strangers' tokens cannot make us flood the issuer. When the issuer is away the
 * known keys stay.
 */
export class Jwks implements TokenVerifier {
  readonly #url: string
  readonly #verifierOf: (key: KeyObject) => TokenVerifier
  #verifiers: ReadonlyMap<string, TokenVerifier> = new Map()
  readonly #now: () => number
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  constructor(url: string, verifierOf: (key: KeyObject) => TokenVerifier, now: () => number) {
    this.#now = now
    this.#url = url
    this.#verifierOf = verifierOf
  }

  async verify(token: string | undefined): Promise<Verdict> {
    if (!token) return { refused: 'no token' }
    const kid = keyIdOf(token)
    if (kid === undefined) return { refused: 'the token is malformed or names no key (kid)' }
    const age = this.#now() - this.#readAt
    if (age > refreshMs || (!this.#verifiers.has(kid) && age > cooldownMs)) await this.#read()
    const verifier = this.#verifiers.get(kid)
    return verifier ? verifier.verify(token) : { refused: 'the token is signed with an unknown key' }
  }

  /** One request at a time, whoever asks. */
  #read(): Promise<void> {
    this.#reading ??= this.#fetch().finally(() => {
      this.#readAt = this.#now()
      this.#reading = undefined
    })
    return this.#reading
  }

  async #fetch(): Promise<void> {
    try {
      const response = await fetch(this.#url, {
        signal: AbortSignal.timeout(fetchTimeoutMs),
        headers: { accept: 'application/json' },
      })
      if (!response.ok) return
      const text = await response.text()
      if (text.length > maxResponseBytes) return
      const { keys } = KeySet.parse(JSON.parse(text))
      const usable = keys.filter((key) => key.kid !== undefined && key.use !== 'enc')
      this.#verifiers = new Map(usable.flatMap((jwk) => entryOf(jwk, this.#verifierOf)))
    } catch {
      // The issuer is away or talks nonsense: the keys we know stay good, and a token of another key is refused above.
    }
  }
}

function entryOf(jwk: Record<string, unknown>, verifierOf: (key: KeyObject) => TokenVerifier): [string, TokenVerifier][] {
  try {
    return [[String(jwk.kid), verifierOf(createPublicKey({ key: jwk, format: 'jwk' }))]]
  } catch {
    return [] // a kind of key we do not take must not hide the others
  }
}

function keyIdOf(token: string): string | undefined {
  try {
    const { header } = decodeToken(token) as { header: { kid?: unknown } }
    return typeof header.kid === 'string' ? header.kid : undefined
  } catch {
    return undefined
  }
}
