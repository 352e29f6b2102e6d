/** Claims of a verified token (RFC 7519 §4.1). The object may be shared between calls: do not modify it. */
export type Claims = Readonly<Record<string, unknown>> & {
  /** Unix seconds. */
  readonly exp: number
  /** Time at which the token was issued, in Unix seconds. */
  readonly iat?: number
}

/** What the claims of a token must say, besides being signed. */
export interface ClaimRules {
  /** Name of the claim that identifies the caller. */
  readonly subjectClaim: string
  /** Required `iss`; undefined accepts any. */
  readonly issuer?: string | undefined
  /** Required in `aud`, which is a text or an array; undefined accepts any. */
  readonly audience?: string | undefined
  /** How far the clock of the issuer may differ from this one. */
  readonly leewaySeconds: number
  /** Longest time from `iat` to `exp`; where `iat` is missing, from now. */
  readonly maxTokenDays: number
}

const secondsPerDay = 86_400

/** Returns why signed claims are refused, as text for the caller; undefined if they satisfy the rules. */
export function refusalOf(claims: Readonly<Record<string, unknown>>, rules: ClaimRules, nowSeconds: number): string | undefined {
  const { exp, iat, nbf, iss, aud } = claims
  const { subjectClaim, issuer, audience, leewaySeconds, maxTokenDays } = rules
  const subject = claims[subjectClaim]
  if (subject === undefined) return `the token lacks ${subjectClaim}`
  if (!isSubject(subject)) return `${subjectClaim} of the token is neither a text nor an integer`
  if (exp === undefined) return 'the token lacks exp'
  // JSON may hold 1e999, which is Infinity: such a token would never expire.
  if (!isTime(exp)) return 'exp of the token is not an integer'
  if (iat !== undefined && !isTime(iat)) return 'iat of the token is not an integer'
  if (nbf !== undefined && typeof nbf !== 'number') return 'nbf of the token is not a number'
  if (nowSeconds >= exp + leewaySeconds) return 'the token has expired'
  if (nbf !== undefined && nowSeconds < nbf - leewaySeconds) return 'the token is not valid yet'
  if (iat !== undefined && nowSeconds < iat - leewaySeconds) return 'the token was issued in the future'
  if (exp - (iat ?? nowSeconds + leewaySeconds) > maxTokenDays * secondsPerDay) {
    return `the token is valid for more than ${maxTokenDays} days (MAX_TOKEN_DAYS)`
  }
  if (issuer !== undefined && iss !== issuer) return 'the token is from another issuer (iss)'
  if (audience !== undefined && aud !== audience && !(Array.isArray(aud) && aud.includes(audience))) {
    return 'the token is for another audience (aud)'
  }
  return undefined
}

/** True for a claim that can identify a caller: never for an array or an object, which JavaScript would turn into the same text. */
export function isSubject(claim: unknown): claim is string | number {
  return typeof claim === 'string' ? claim !== '' : Number.isSafeInteger(claim)
}

/**
 * Returns the scopes in a claim: a text with spaces between them (RFC 8693 §4.2), or an array with one in each item, as some issuers
 * sign it. A missing claim has none. Returns undefined for any other type.
 */
export function scopesOf(claim: unknown): readonly string[] | undefined {
  if (claim === undefined) return []
  if (typeof claim === 'string') return claim.split(' ')
  return Array.isArray(claim) && claim.every((item) => typeof item === 'string') ? claim : undefined
}

function isTime(claim: unknown): claim is number {
  return Number.isSafeInteger(claim)
}
