import { createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { Jwks } from './jwks.ts'
import type { Log } from './log.ts'
import { algorithmOf, openKeyVerifier, type TokenVerifier } from './token-verifier.ts'

/** The key that verifies tokens of one kind of caller: an HMAC secret, a public key in PEM, or the URL of a JWKS (RFC 7517). */
export type TokenKey = { readonly secret: string } | { readonly publicKey: string } | { readonly jwksUrl: string }

/** Public secrets for development. {@link tokenKey} refuses them if NODE_ENV is `production`. */
export const developmentSecrets = {
  member: 'tidings-development-member-secret-0123456789',
  service: 'tidings-development-service-secret-0123456789',
} as const

/** Shortest HMAC secret: as long as the hash (RFC 7518 §3.2). */
const minSecretBytes = 32

/**
 * Schemas of the three variables that configure a key, for example MEMBER_JWT_SECRET. {@link tokenKey} selects the one that is
 * set.
 */
export const tokenVariables = <P extends 'MEMBER' | 'SERVICE'>(prefix: P) =>
  ({
    [`${prefix}_JWT_SECRET`]: z
      .string()
      .refine((secret) => Buffer.byteLength(secret) >= minSecretBytes, `must be at least ${minSecretBytes} bytes`)
      .optional(),
    [`${prefix}_JWT_PUBLIC_KEY`]: z.string().refine(isPublicKey, 'must be a public key in PEM: RSA, P-256 or Ed25519').optional(),
    [`${prefix}_JWKS_URL`]: z.url({ protocol: /^https?$/ }).optional(),
  }) as Record<`${P}_JWT_SECRET` | `${P}_JWT_PUBLIC_KEY` | `${P}_JWKS_URL`, z.ZodOptional<z.ZodString>>

/**
 * Returns the key that `environment` configures. Adds an issue to `context` unless exactly one of the three variables is set, and
 * if production uses a development secret; the result must not be used then.
 */
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
    refuse('JWT_SECRET', 'is the public development secret, which is not allowed in production')
  if (given[0] === 'JWT_PUBLIC_KEY') return { publicKey: environment[`${prefix}_JWT_PUBLIC_KEY`] as string }
  if (given[0] === 'JWKS_URL') return { jwksUrl: environment[`${prefix}_JWKS_URL`] as string }
  return { secret }
}

export interface TokenVerifierOptions {
  readonly cacheSize?: number
  readonly now?: () => number
  readonly log?: Log
}

/**
 * Opens a verifier of JWTs (RFC 7519). The algorithm is that of the key, never the one that the token names. `sub` and `exp` are
 * required.
 *
 * - `cacheSize`: number of verified tokens that are cached for ten seconds, for callers that send the same token with each
 *   request. An expired token is refused even if it is cached. Default 0: no cache.
 * - `now`: clock in ms, for the age of fetched keys.
 * - `log`: receives a JWKS that could not be fetched.
 *
 * @throws Error for a public key that cannot be parsed or has an unsupported type.
 */
export function openTokenVerifier(
  key: TokenKey,
  { cacheSize = 0, now = () => performance.now(), log }: TokenVerifierOptions = {},
): TokenVerifier {
  if ('jwksUrl' in key) return new Jwks(key.jwksUrl, { cacheSize, now, log })
  return openKeyVerifier('secret' in key ? key.secret : readPublicKey(key.publicKey), cacheSize)
}

/** Parses a PEM. In an environment variable its line ends are often written as `\n`. */
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
