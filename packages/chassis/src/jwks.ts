import { createPublicKey } from 'node:crypto'
import { z } from 'zod'
import type { ClaimRules } from './claims.ts'
import type { Log } from './log.ts'
import { RepeatedFailure } from './repeated-failure.ts'
import { algorithmOf, type KeyVerifier, openKeyVerifier, type TokenVerifier, type Verdict } from './token-verifier.ts'

/** Age at which the key set is fetched again. */
const refreshMs = 600_000
/** Shortest time between two fetches. */
const cooldownMs = 10_000
const fetchTimeoutMs = 5_000
const maxKeys = 100
/** Longest response, in UTF-16 code units. */
const maxResponseLength = 1_048_576
/** Longest part of a `kid` that is logged. */
const maxLoggedKidLength = 100

const Key = z.looseObject({ kid: z.string().optional(), use: z.string().optional(), alg: z.string().optional() })
type Key = z.infer<typeof Key>
const KeySet = z.object({ keys: z.array(Key).max(maxKeys) })

export interface JwksOptions {
  readonly rules: ClaimRules
  /** Number of verified tokens that are cached for each key. */
  readonly cacheSize: number
  /** Clock in ms. */
  readonly now: () => number
  /** Receives a fetch that failed, once until one succeeds, and the keys that are not supported. */
  readonly log: Log | undefined
  /** Called for each fetch that failed. */
  readonly onFailure: (() => void) | undefined
}

/** The usable keys of a key set. */
interface KnownKeys {
  readonly named: ReadonlyMap<string, KeyVerifier>
  /** The only key of the set: it also verifies tokens without `kid`, and any token if it has no `kid` itself. */
  readonly only: { readonly verifier: KeyVerifier; readonly kid: string | undefined } | undefined
}

/**
 * Verifies tokens with the keys of a JWKS URL (RFC 7517). Fetches the key set when it is ten minutes old, and when no known key may
 * have signed a token. Only such a token waits for the fetch. It fetches at most once in ten seconds, so that forged tokens cannot
 * flood the issuer. If a fetch fails, the known keys stay valid, and it is repeated after ten seconds.
 */
export class Jwks implements TokenVerifier {
  readonly #url: string
  readonly #options: JwksOptions
  readonly #failure: RepeatedFailure | undefined
  #keys: KnownKeys = { named: new Map(), only: undefined }
  #ignored = ''
  /** End of the last fetch, and of the last one that succeeded. */
  #triedAt = Number.NEGATIVE_INFINITY
  #fetchedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined

  constructor(url: string, options: JwksOptions) {
    this.#url = url
    this.#options = options
    this.#failure = options.log && new RepeatedFailure(options.log, 'the JWKS could not be fetched')
  }

  verify(token: string | undefined): Verdict | Promise<Verdict> {
    if (!token) return { refused: 'no token' }
    const kid = keyIdOf(token)
    if (kid === null) return { refused: 'the token is malformed' }
    const now = this.#options.now()
    const mayFetch = this.#fetching !== undefined || now - this.#triedAt > cooldownMs
    const verdict = this.#verify(token, kid)
    if (verdict.refused !== undefined && verdict.otherKey) {
      return mayFetch ? this.#refresh().then(() => this.#verify(token, kid)) : verdict
    }
    // Beside the request: an issuer that hangs must not delay tokens that can be verified.
    if (mayFetch && now - this.#fetchedAt > refreshMs) void this.#refresh()
    return verdict
  }

  #verify(token: string, kid: string | undefined): Verdict {
    const { named, only } = this.#keys
    const verifier = kid === undefined ? undefined : named.get(kid)
    if (verifier) {
      const verdict = verifier.verify(token)
      // Fetching would not help a token that names its key.
      return verdict.refused === undefined ? verdict : { refused: verdict.refused }
    }
    if (only && (kid === undefined || only.kid === undefined)) return only.verifier.verify(token)
    const refused = kid === undefined ? 'the token names no key (kid)' : 'the token is signed with an unknown key'
    return { refused, otherKey: true }
  }

  /** Fetches the key set. Concurrent calls share one request. Never rejects, and ends after at most `fetchTimeoutMs`. */
  #refresh(): Promise<void> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#triedAt = this.#options.now()
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
      this.#replaceKeys(KeySet.parse(JSON.parse(text)).keys)
      this.#fetchedAt = this.#options.now()
      this.#failure?.succeeded()
    } catch (error) {
      // The issuer does not respond, or its response is not valid: the known keys stay, and `verify` refuses a token of any other
      // key.
      this.#options.onFailure?.()
      this.#failure?.failed(error)
    }
  }

  /** @throws Error if none of the keys is usable. */
  #replaceKeys(keys: readonly Key[]): void {
    const ignored: string[] = []
    const usable: { readonly kid: string | undefined; readonly verifier: KeyVerifier }[] = []
    for (const key of keys.filter(({ use }) => use !== 'enc')) {
      try {
        usable.push({ kid: key.kid, verifier: this.#verifierOf(key) })
      } catch (error) {
        ignored.push(`${key.kid?.slice(0, maxLoggedKidLength) ?? 'key without kid'}: ${(error as Error).message}`)
      }
    }
    const [first] = usable
    const only = usable.length === 1 ? first : undefined
    if (!only && usable.some(({ kid }) => kid === undefined)) ignored.push('key without kid: the set has others')
    this.#reportIgnored(ignored)
    if (!first) throw new Error('the key set has no usable key')
    const named = usable.flatMap(({ kid, verifier }) => (kid === undefined ? [] : [[kid, verifier] as const]))
    this.#keys = { named: new Map(named), only }
  }

  /** @throws Error for a key that is not supported. */
  #verifierOf(jwk: Key): KeyVerifier {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    if (jwk.alg !== undefined && jwk.alg !== algorithmOf(key)) throw new Error('its alg is not supported')
    return openKeyVerifier([key], this.#options)
  }

  #reportIgnored(ignored: readonly string[]): void {
    const text = ignored.join('; ')
    if (text !== '' && text !== this.#ignored) this.#options.log?.warn({ keys: ignored }, 'keys of the JWKS are ignored')
    this.#ignored = text
  }
}

/** Returns the `kid` in the header of a token; null if the header cannot be parsed. */
function keyIdOf(token: string): string | undefined | null {
  try {
    const header = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString()) as { kid?: unknown }
    return typeof header.kid === 'string' ? header.kid : undefined
  } catch {
    return null
  }
}
