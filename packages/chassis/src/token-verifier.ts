import type { KeyObject } from 'node:crypto'
import { type Algorithm, createVerifier, TokenError } from 'fast-jwt'

/** Claims of a verified token (RFC 7519 §4.1). The object may be shared between calls: do not modify it. */
export interface Claims {
  readonly sub: string | number
  /** Unix seconds. */
  readonly exp: number
  /** Unix seconds. */
  readonly iat?: number
  /** As the issuer signed it; {@link scopesOf} parses it. */
  readonly scope?: unknown
}

/** Result of a verification. `refused` is the reason, as text for the caller; it never contains a part of the token. */
export type Verdict = { readonly claims: Claims; readonly refused?: undefined } | { readonly refused: string }

/** Verifies tokens of one kind of caller. */
export interface TokenVerifier {
  /**
   * Verifies a token; undefined is refused. Returns a promise only if the key may have to be fetched. Does not throw for an
   * invalid token.
   */
  verify(token: string | undefined): Verdict | Promise<Verdict>
}

/** Longest time for which a verified token is cached. A withdrawn key is refused after at most this time. */
const verifiedTokenTtlMs = 10_000

/**
 * Opens a verifier for one key: a text is an HMAC secret, a `KeyObject` is a public key. `cacheSize` is the number of verified
 * tokens that are cached; 0 disables the cache.
 *
 * @throws Error for a public key of an unsupported type.
 */
export function openKeyVerifier(key: string | KeyObject, cacheSize: number): TokenVerifier {
  const verifier = createVerifier({
    key: typeof key === 'string' ? key : key.export({ type: 'spki', format: 'pem' }),
    algorithms: [typeof key === 'string' ? 'HS256' : algorithmOf(key)],
    requiredClaims: ['sub', 'exp'],
    cache: cacheSize,
    cacheTTL: verifiedTokenTtlMs,
    // The token itself, not its hash: hashing would cost more than the cache saves, and the process holds the token anyway.
    cacheKeyBuilder: (token: string) => token,
  })
  return {
    verify(token) {
      if (!token) return { refused: 'no token' }
      try {
        return verdictOf(verifier(token) as Record<string, unknown>)
      } catch (error) {
        if (error instanceof TokenError) return { refused: reasons[error.code] ?? 'the token is not valid' }
        throw error
      }
    },
  }
}

function verdictOf(claims: Readonly<Record<string, unknown>>): Verdict {
  const { sub, exp } = claims
  if (!(typeof sub === 'string' && sub !== '') && !Number.isSafeInteger(sub)) {
    return { refused: 'sub of the token is neither a text nor an integer' }
  }
  // JSON may hold 1e999, which is Infinity: such a token would never expire.
  if (!Number.isSafeInteger(exp)) return { refused: 'exp of the token is not an integer' }
  return { claims: claims as unknown as Claims }
}

/**
 * Returns the scopes of a token: a text with spaces between them (RFC 8693 §4.2), or an array with one in each item, as some issuers
 * sign it. A token without the claim has none. Returns undefined for any other type.
 */
export function scopesOf({ scope }: Claims): readonly string[] | undefined {
  if (scope === undefined) return []
  if (typeof scope === 'string') return scope.split(' ')
  return Array.isArray(scope) && scope.every((item) => typeof item === 'string') ? scope : undefined
}

const reasons: Readonly<Record<string, string>> = {
  [TokenError.codes.malformed]: 'the token is malformed',
  [TokenError.codes.invalidType]: 'the token is malformed',
  [TokenError.codes.invalidPayload]: 'the token is malformed',
  [TokenError.codes.missingSignature]: 'the token is not signed',
  [TokenError.codes.invalidAlgorithm]: 'the token is signed with another algorithm than is configured',
  [TokenError.codes.invalidSignature]: 'the signature of the token is not valid',
  [TokenError.codes.expired]: 'the token has expired',
  [TokenError.codes.inactive]: 'the token is not valid yet',
  [TokenError.codes.missingRequiredClaim]: 'the token lacks sub or exp',
  [TokenError.codes.invalidClaimType]: 'a claim of the token has the wrong type',
}

/**
 * Returns the JWS algorithm of a public key (RFC 7518 §3.1, RFC 8037 §3.1).
 *
 * @throws Error for an unsupported type of key.
 */
export function algorithmOf(key: KeyObject): Algorithm {
  if (key.asymmetricKeyType === 'rsa') return 'RS256'
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA'
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256'
  throw new Error(`keys of type ${key.asymmetricKeyType} are not supported`)
}
