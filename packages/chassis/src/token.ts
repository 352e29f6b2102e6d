import { createPublicKey, type KeyObject } from 'node:crypto'
import { type Algorithm, createVerifier, TokenError } from 'fast-jwt'
import { z } from 'zod'
import { Jwks } from './jwks.ts'

/** How tokens of one kind of caller are verified. Exactly one is set. */
export type TokenKey = { readonly secret: string } | { readonly publicKey: string } | { readonly jwksUrl: string }

/** The claims of a verified token. The object may be shared between calls: treat it as frozen. */
export interface Claims {
  readonly sub: string | number
  /** Unix seconds. */
  readonly exp: number
  readonly scope?: string
}

/** A refusal is a value: `refused` says why in words fit for the caller, never a part of the token. */
export type Verdict = { readonly claims: Claims; readonly refused?: undefined } | { readonly refused: string }

export interface TokenVerifier {
  /** A promise only where the key may have to be fetched. */
  verify(token: string | undefined): Verdict | Promise<Verdict>
}

/** Only for a developer's own machine; {@link tokenVariables} refuses them when NODE_ENV=production. */
export const developmentSecrets = {
  member: 'tidings-development-member-secret-0123456789',
  service: 'tidings-development-service-secret-0123456789',
} as const

const minSecretBytes = 32
const believedMs = 10_000

/** The three variables that say how tokens of one kind are verified, e.g. MEMBER_JWT_SECRET. */
export const tokenVariables = <P extends 'MEMBER' | 'SERVICE'>(prefix: P) =>
  ({
    [`${prefix}_JWT_SECRET`]: z
      .string()
      .refine((secret) => Buffer.byteLength(secret) >= minSecretBytes, `must be at least ${minSecretBytes} bytes`)
      .optional(),
    [`${prefix}_JWT_PUBLIC_KEY`]: z.string().refine(isPublicKey, 'must be a public key in PEM: RSA, P-256 or Ed25519').optional(),
    [`${prefix}_JWKS_URL`]: z.url({ protocol: /^https?$/ }).optional(),
  }) as Record<`${P}_JWT_SECRET` | `${P}_JWT_PUBLIC_KEY` | `${P}_JWKS_URL`, z.ZodOptional<z.ZodString>>

/** Checks that exactly one way is given and that production does not run on a secret everybody knows. */
export function tokenKey(
  prefix: 'MEMBER' | 'SERVICE',
  environment: Readonly<Record<string, unknown>>,
  context: z.RefinementCtx,
): TokenKey {
  const given = (['JWT_SECRET', 'JWT_PUBLIC_KEY', 'JWKS_URL'] as const).filter(
    (name) => environment[`${prefix}_${name}`] !== undefined,
  )
  const refuse = (variable: string, message: string) =>
    context.addIssue({ code: 'custom', path: [`${prefix}_${variable}`], message })
  const secret = environment[`${prefix}_JWT_SECRET`] as string
  if (given.length !== 1)
    refuse('JWT_SECRET', `set exactly one of ${prefix}_JWT_SECRET, ${prefix}_JWT_PUBLIC_KEY, ${prefix}_JWKS_URL`)
  else if (environment.NODE_ENV === 'production' && Object.values<string>(developmentSecrets).includes(secret))
    refuse('JWT_SECRET', 'is the development secret, which everybody knows: not in production')
  if (given[0] === 'JWT_PUBLIC_KEY') return { publicKey: environment[`${prefix}_JWT_PUBLIC_KEY`] as string }
  if (given[0] === 'JWKS_URL') return { jwksUrl: environment[`${prefix}_JWKS_URL`] as string }
  return { secret }
}

/**
 * Verifies JWTs with the algorithm of our key, never the token's. `sub` and `exp` are required.
 * `cacheSize`: verified tokens remembered for a few seconds, for callers that send the same token again and again. Not for longer, so
 * that a key that is withdrawn is soon refused; expiry is always honoured.
 * `now`: a clock in ms for the age of fetched keys.
 */
export function openTokenVerifier(key: TokenKey, { cacheSize = 0, now = () => performance.now() } = {}): TokenVerifier {
  if ('jwksUrl' in key) return new Jwks(key.jwksUrl, (publicKey) => keyVerifier(publicKey, cacheSize), now)
  return keyVerifier('secret' in key ? key.secret : readPublicKey(key.publicKey), cacheSize)
}

function keyVerifier(key: string | KeyObject, cacheSize: number): TokenVerifier {
  const verifier = createVerifier({
    key: typeof key === 'string' ? key : key.export({ type: 'spki', format: 'pem' }),
    algorithms: [typeof key === 'string' ? 'HS256' : algorithmOf(key)],
    requiredClaims: ['sub', 'exp'],
    cache: cacheSize,
    cacheTTL: believedMs,
    // Hashing it first would cost more than it spares; what is kept of a token for so short a time is no secret from this process.
    cacheKeyBuilder: (token: string) => token,
  })
  return {
    verify(token) {
      if (!token) return { refused: 'no token' }
      try {
        return { claims: verifier(token) as Claims }
      } catch (error) {
        if (error instanceof TokenError) return { refused: reasons[error.code] ?? 'the token is not valid' }
        throw error
      }
    },
  }
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

/** The algorithm that belongs to a key (RFC 7518 §3.1, RFC 8037); throws for kinds we do not take. */
function algorithmOf(key: KeyObject): Algorithm {
  if (key.asymmetricKeyType === 'rsa') return 'RS256'
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA'
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256'
  throw new Error(`keys of type ${key.asymmetricKeyType} are not supported`)
}

// A PEM in an environment variable often has its line ends written as \n.
function readPublicKey(pem: string): KeyObject {
  return createPublicKey(pem.replaceAll('\\n', '\n'))
}

function isPublicKey(pem: string): boolean {
  try {
    algorithmOf(readPublicKey(pem))
    return !pem.includes('PRIVATE KEY')
  } catch {
    return false
  }
}
