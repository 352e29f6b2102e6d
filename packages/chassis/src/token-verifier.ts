import type { KeyObject } from 'node:crypto'
import { type Algorithm, createVerifier, TokenError } from 'fast-jwt'
import { type ClaimRules, type Claims, refusalOf } from './claims.ts'
import { RecentTokens } from './recent-tokens.ts'

/** A token that is refused. */
export interface Refused {
  /** The reason, as text for the caller; it never contains a part of the token. */
  readonly refused: string
  /** True if the token may be signed with another key. */
  readonly otherKey?: boolean
}

/** Result of a verification. `subject` is the claim that identifies the caller. */
export type Verdict = { readonly claims: Claims; readonly subject: string | number; readonly refused?: undefined } | Refused

/** Verifies tokens of one kind of caller. */
export interface TokenVerifier {
  /**
   * Verifies a token; undefined is refused. Returns a promise only if the key may have to be fetched. Does not throw for an
   * invalid token.
   */
  verify(token: string | undefined): Verdict | Promise<Verdict>
}

/** Verifies tokens with keys that are known. */
export interface KeyVerifier {
  verify(token: string | undefined): Verdict
}

export interface KeyVerifierOptions {
  readonly rules: ClaimRules
  /** Number of verified tokens that are cached; 0 disables the cache. */
  readonly cacheSize: number
}

/** Smallest RSA key (RFC 7518 §3.3). */
export const minRsaBits = 2_048

/**
 * Opens a verifier for keys of which any may have signed a token: a text is an HMAC secret, a `KeyObject` is a public key.
 *
 * @throws Error for a public key of an unsupported type.
 */
export function openKeyVerifier(keys: readonly (string | KeyObject)[], { rules, cacheSize }: KeyVerifierOptions): KeyVerifier {
  const verifiers = keys.map(signatureVerifier)
  const recent = new RecentTokens<Signed>(cacheSize)
  return {
    verify(token) {
      if (!token) return { refused: 'no token' }
      let signed = recent.get(token)
      if (!signed) {
        signed = verifyWithAny(verifiers, token)
        if (signed.refused === undefined) recent.add(token, signed)
      }
      if (signed.refused !== undefined) return signed
      const { claims } = signed
      const refused = refusalOf(claims, rules, Date.now() / 1_000)
      return refused === undefined ? { claims, subject: claims[rules.subjectClaim] as string | number } : { refused }
    },
  }
}

/** The claims of a token whose signature is valid. They are not checked yet. */
type Signed = { readonly claims: Claims; readonly refused?: undefined } | Refused

type SignatureVerifier = (token: string) => Signed

function verifyWithAny(verifiers: readonly SignatureVerifier[], token: string): Signed {
  let refusal: Refused = { refused: 'there is no key' }
  for (const verify of verifiers) {
    const signed = verify(token)
    if (signed.refused === undefined || !signed.otherKey) return signed
    refusal = signed
  }
  return refusal
}

function signatureVerifier(key: string | KeyObject): SignatureVerifier {
  const verifier = createVerifier({
    key: typeof key === 'string' ? key : key.export({ type: 'spki', format: 'pem' }),
    algorithms: [typeof key === 'string' ? 'HS256' : algorithmOf(key)],
    // `refusalOf` checks the times.
    ignoreExpiration: true,
    ignoreNotBefore: true,
  })
  return (token) => {
    try {
      return { claims: verifier(token) as Claims }
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      return { refused: reasons[error.code] ?? 'the token is not valid', otherKey: codesOfOtherKey.has(error.code) }
    }
  }
}

const codesOfOtherKey: ReadonlySet<string> = new Set([
  TokenError.codes.invalidAlgorithm,
  TokenError.codes.invalidSignature,
  TokenError.codes.verifyError,
])

const reasons: Readonly<Record<string, string>> = {
  [TokenError.codes.malformed]: 'the token is malformed',
  [TokenError.codes.invalidType]: 'the token is malformed',
  [TokenError.codes.invalidPayload]: 'the token is malformed',
  [TokenError.codes.missingSignature]: 'the token is not signed',
  [TokenError.codes.invalidAlgorithm]: 'the token is signed with another algorithm than is configured',
  [TokenError.codes.invalidSignature]: 'the signature of the token is not valid',
  [TokenError.codes.verifyError]: 'the signature of the token is not valid',
}

/**
 * Returns the JWS algorithm of a public key (RFC 7518 §3.1, RFC 8037 §3.1).
 *
 * @throws Error for an unsupported type of key, and for an RSA key that is too short.
 */
export function algorithmOf(key: KeyObject): Algorithm {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') {
    if (modulusLength < minRsaBits) throw new Error(`RSA keys of ${modulusLength} bits are too short: at least ${minRsaBits}`)
    return 'RS256'
  }
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA'
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256'
  throw new Error(`keys of type ${key.asymmetricKeyType}${namedCurve ? ` ${namedCurve}` : ''} are not supported`)
}
