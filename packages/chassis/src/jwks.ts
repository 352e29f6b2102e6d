import { createPublicKey } from 'node:crypto'
import { createDecoder } from 'fast-jwt'
import { z } from 'zod'
import type { Log } from './log.ts'
import { RepeatedFailure } from './repeated-failure.ts'
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
 * an unknown key. Only a token of an unknown key waits for the fetch. It fetches at most once in ten seconds, so that forged tokens
 * cannot flood the issuer. If a fetch fails, the known keys stay valid.
 */
export class Jwks implements TokenVerifier {
  readonly #url: string
  readonly #cacheSize: number
  /** Verifier of each key, by `kid`. */
  #verifiers: ReadonlyMap<string, TokenVerifier> = new Map()
  readonly #now: () => number
  #fetchedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined
  readonly #failure: RepeatedFailure | undefined

  /**
   * `cacheSize`: number of verified tokens that are cached for each key. `now`: clock in ms. `log`: receives a fetch that failed, once
   * until one succeeds.
   */
  constructor(url: string, { cacheSize, now, log }: { cacheSize: number; now: () => number; log: Log | undefined }) {
    this.#now = now
    this.#url = url
    this.#cacheSize = cacheSize
    this.#failure = log && new RepeatedFailure(log, 'the JWKS could not be fetched')
  }

  async verify(token: string | undefined): Promise<Verdict> {
    if (!token) return { refused: 'no token' }
    const kid = keyIdOf(token)
    if (kid === undefined) return { refused: 'the token is malformed or names no key (kid)' }
    const age = this.#now() - this.#fetchedAt
    const known = this.#verifiers.get(kid)
    if (known) {
      // Beside the request: an issuer that hangs must not delay tokens that can be verified.
      if (age > refreshMs) void this.#refresh()
      return known.verify(token)
    }
    if (age > cooldownMs) await this.#refresh()
    return this.#verifiers.get(kid)?.verify(token) ?? { refused: 'the token is signed with an unknown key' }
  }

  /** Fetches the key set. Concurrent calls share one request. Never rejects, and ends after at most `fetchTimeoutMs`. */
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
      if (!response.ok) throw new Error(`the issuer responded with ${response.status}`)
      const text = await response.text()
      if (text.length > maxResponseLength) throw new Error('the key set is too large')
      const { keys } = KeySet.parse(JSON.parse(text))
      const usable = keys.filter((key) => key.kid !== undefined && key.use !== 'enc')
      this.#verifiers = new Map(usable.flatMap((jwk) => entryOf(jwk, this.#cacheSize)))
      this.#failure?.succeeded()
    } catch (error) {
      // The issuer does not respond, or its response is not valid: the known keys stay, and `verify` refuses a token of any other
      // key.
      this.#failure?.failed(error)
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
