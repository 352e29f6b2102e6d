import { createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import type { ClaimRules } from './claims.ts'
import { Jwks } from './jwks.ts'
import type { Log } from './log.ts'
import { algorithmOf, minRsaBits, openKeyVerifier, type TokenVerifier } from './token-verifier.ts'

/**
 * The key that verifies tokens of one kind of caller: an HMAC secret and the one that it replaces, public keys in PEM, or the URL of a
 * JWKS (RFC 7517).
 */
export type TokenKey =
  | { readonly secret: string; readonly previousSecret?: string }
  | { readonly publicKey: string }
  | { readonly jwksUrl: string }

/** How tokens of one kind of caller are verified. */
export interface TokenSettings {
  readonly key: TokenKey
  readonly rules: ClaimRules
  /** The variables that are not set although production should set them. */
  readonly unset: readonly string[]
}

/** Public secrets for development. {@link tokenSettings} refuses them if NODE_ENV is `production`. */
export const developmentSecrets = {
  member: 'tidings-development-member-secret-0123456789',
  service: 'tidings-development-service-secret-0123456789',
} as const

/** Shortest HMAC secret: as long as the hash (RFC 7518 §3.2). */
const minSecretBytes = 32

type Prefix = 'MEMBER' | 'SERVICE'
type Name = 'JWT_SECRET' | 'JWT_SECRET_PREVIOUS' | 'JWT_PUBLIC_KEY' | 'JWKS_URL' | 'ISSUER' | 'AUDIENCE'

const secret = z
  .string()
  .refine((text) => Buffer.byteLength(text) >= minSecretBytes, `must be at least ${minSecretBytes} bytes`)
  .optional()

/** Schemas of the variables that configure the tokens of one kind of caller, for example MEMBER_JWT_SECRET. */
export const tokenVariables = <P extends Prefix>(prefix: P) =>
  ({
    [`${prefix}_JWT_SECRET`]: secret,
    [`${prefix}_JWT_SECRET_PREVIOUS`]: secret,
    [`${prefix}_JWT_PUBLIC_KEY`]: z
      .string()
      .refine(arePublicKeys, `must be public keys in PEM: RSA of at least ${minRsaBits} bits, P-256 or Ed25519`)
      .optional(),
    [`${prefix}_JWKS_URL`]: z.url({ protocol: /^https?$/ }).optional(),
    [`${prefix}_ISSUER`]: z.string().optional(),
    [`${prefix}_AUDIENCE`]: z.string().optional(),
  }) as Record<`${P}_${Name}`, z.ZodOptional<z.ZodString>>

/** The variables that hold for the tokens of all callers, and the name of the claim that identifies a member. */
interface SharedVariables {
  readonly NODE_ENV: string
  readonly MEMBER_CLAIM: string
  readonly CLOCK_LEEWAY_SECONDS: number
  readonly MAX_TOKEN_DAYS: number
}

/**
 * Returns how `variables` configure the tokens of one kind of caller. Adds an issue to `context` unless exactly one key is set, and if
 * production uses a development secret; the result must not be used then.
 */
export function tokenSettings<P extends Prefix>(
  prefix: P,
  variables: SharedVariables & Readonly<Partial<Record<`${P}_${Name}`, string | undefined>>>,
  context: z.RefinementCtx,
): TokenSettings {
  const valueOf = (name: Name) => variables[`${prefix}_${name}`]
  const issuer = valueOf('ISSUER')
  const audience = valueOf('AUDIENCE')
  const { CLOCK_LEEWAY_SECONDS: leewaySeconds, MAX_TOKEN_DAYS: maxTokenDays } = variables
  const subjectClaim = prefix === 'MEMBER' ? variables.MEMBER_CLAIM : 'sub'
  return {
    key: keyFrom(prefix, valueOf, variables.NODE_ENV, context),
    rules: { subjectClaim, issuer, audience, leewaySeconds, maxTokenDays },
    unset:
      variables.NODE_ENV === 'production'
        ? (['ISSUER', 'AUDIENCE'] as const).filter((name) => !valueOf(name)).map((name) => `${prefix}_${name}`)
        : [],
  }
}

function keyFrom(
  prefix: Prefix,
  valueOf: (name: Name) => string | undefined,
  environment: string,
  context: z.RefinementCtx,
): TokenKey {
  const refuse = (name: Name, message: string) => context.addIssue({ code: 'custom', path: [`${prefix}_${name}`], message })
  const given = (['JWT_SECRET', 'JWT_PUBLIC_KEY', 'JWKS_URL'] as const).filter((name) => valueOf(name) !== undefined)
  if (given.length !== 1)
    refuse('JWT_SECRET', `set exactly one of ${prefix}_JWT_SECRET, ${prefix}_JWT_PUBLIC_KEY, ${prefix}_JWKS_URL`)
  for (const name of ['JWT_SECRET', 'JWT_SECRET_PREVIOUS'] as const) {
    if (environment === 'production' && Object.values<string | undefined>(developmentSecrets).includes(valueOf(name)))
      refuse(name, 'is the public development secret, which is not allowed in production')
  }
  const previousSecret = valueOf('JWT_SECRET_PREVIOUS')
  if (previousSecret !== undefined && given[0] !== 'JWT_SECRET')
    refuse('JWT_SECRET_PREVIOUS', `is the secret before ${prefix}_JWT_SECRET, which is not set`)
  const value = (given[0] && valueOf(given[0])) ?? ''
  if (given[0] === 'JWT_PUBLIC_KEY') return { publicKey: value }
  if (given[0] === 'JWKS_URL') return { jwksUrl: value }
  return { secret: value, ...(previousSecret !== undefined && { previousSecret }) }
}

export interface TokenVerifierOptions {
  readonly cacheSize?: number
  readonly now?: () => number
  readonly log?: Log
  readonly onJwksFailure?: () => void
}

/**
 * Opens a verifier of JWTs (RFC 7519). The algorithm is that of the key, never the one that the token names.
 *
 * - `cacheSize`: number of verified tokens that are cached for ten seconds, for callers that send the same token with each
 *   request. An expired token is refused even if it is cached. Default 0: no cache.
 * - `now`: clock in ms, for the age of fetched keys.
 * - `log`: receives a JWKS that could not be fetched, and the variables that production should set.
 * - `onJwksFailure`: called for each JWKS that could not be fetched.
 *
 * @throws Error for a public key that cannot be parsed or has an unsupported type.
 */
export function openTokenVerifier(
  { key, rules, unset }: TokenSettings,
  { cacheSize = 0, now = () => performance.now(), log, onJwksFailure }: TokenVerifierOptions = {},
): TokenVerifier {
  if (unset.length > 0) log?.warn({ unset }, 'tokens of any issuer, or for any audience, are accepted')
  if ('jwksUrl' in key) return new Jwks(key.jwksUrl, { rules, cacheSize, now, log, onFailure: onJwksFailure })
  return openKeyVerifier(keysOf(key), { rules, cacheSize })
}

function keysOf(key: Exclude<TokenKey, { jwksUrl: string }>): readonly (string | KeyObject)[] {
  if ('publicKey' in key) return readPublicKeys(key.publicKey)
  return key.previousSecret === undefined ? [key.secret] : [key.secret, key.previousSecret]
}

const pemBlock = /-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g

/** Parses PEM blocks, one after another. In an environment variable their line ends are often written as `\n`. */
function readPublicKeys(pem: string): readonly KeyObject[] {
  return Array.from(pem.replaceAll('\\n', '\n').matchAll(pemBlock), ([block]) => createPublicKey(block))
}

function arePublicKeys(pem: string): boolean {
  try {
    const keys = readPublicKeys(pem)
    return keys.length > 0 && keys.every(algorithmOf) && !pem.includes('PRIVATE KEY')
  } catch {
    return false
  }
}
