import { createPublicKey } from 'node:crypto'
import { createDecoder } from 'fast-jwt'
import { z } from 'zod'
import { openKeyVerifier, type TokenVerifier, type Verdict } from './token-verifier.ts'

/** Age at which the key set is fetched again. */
const refreshMs = 600_000
/** Shortest time between two fetches. */
const cooldownMs = 10_000
const fetchTimeoutMs = 5_000
const maxKeys = 100
/** Longest response, in UTF-16 code units. */
const maxResponseLength = 1_048_576

const KeySet = z.object({ keys: z.array(z.looseObject({ kid: z.string().optional(), use: z.string().optional() })).max(maxKeys) })

const decodeToken = createDecoder({ complete: true })

/**
 * Verifies tokens with the keys of a JWKS URL (RFC 7517). Fetches the key set when it is ten minutes old, and when a token names
 * an unknown key. It fetches at most once in ten seconds, so that forged tokens cannot flood the issuer. If a fetch fails, the
 * known keys stay valid.
 */
export class Jwks implements TokenVerifier {
  readonly #url: string
  readonly #cacheSize: number
  /** Verifier of each key, by `kid`. */
  #verifiers: ReadonlyMap<string, TokenVerifier> = new Map()
  readonly #now: () => number
  #fetchedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined

  /** `cacheSize`: number of verified tokens that are cached for each key. `now`: clock in ms. */
  constructor(url: string, cacheSize: number, now: () => number) {
    this.#now = now
    this.#url = url
    this.#cacheSize = cacheSize
  }

  async verify(token: string | undefined): Promise<Verdict> {
    if (!token) return { refused: 'no token' }
    const kid = keyIdOf(token)
    if (kid === undefined) return { refused: 'the token is malformed or names no key (kid)' }
    const age = this.#now() - this.#fetchedAt
    if (age > refreshMs || (!this.#verifiers.has(kid) && age > cooldownMs)) await this.#refresh()
    const verifier = this.#verifiers.get(kid)
    return verifier ? verifier.verify(token) : { refused: 'the token is signed with an unknown key' }
  }

  /** Fetches the key set. Concurrent calls share one request. */
  #refresh(): Promise<void> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetchedAt = this.#now()
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #fetch(): Promise<void> {
    try {
      const response = await fetch(this.#url, {
        signal: AbortSignal.timeout(fetchTimeoutMs),
        headers: { accept: 'application/json' },
      })
      if (!response.ok) return
      const text = await response.text()
      if (text.length > maxResponseLength) return
      const { keys } = KeySet.parse(JSON.parse(text))
      const usable = keys.filter((key) => key.kid !== undefined && key.use !== 'enc')
      this.#verifiers = new Map(usable.flatMap((jwk) => entryOf(jwk, this.#cacheSize)))
    } catch {
      // The issuer does not respond, or its response is not valid: the known keys stay, and `verify` refuses a token of any other
      // key.
    }
  }
}

/** Returns `kid` and verifier of a key. Returns nothing for an unsupported key, so that it does not hide the others. */
function entryOf(jwk: Record<string, unknown>, cacheSize: number): [string, TokenVerifier][] {
  try {
    return [[String(jwk.kid), openKeyVerifier(createPublicKey({ key: jwk, format: 'jwk' }), cacheSize)]]
  } catch {
    return []
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
