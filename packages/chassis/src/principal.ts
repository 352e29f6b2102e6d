import type { TokenVerifier, Verdict } from './token-verifier.ts'

/** The authenticated member of a session or a request. */
export interface Principal {
  readonly memberId: number
  /** Time at which the token was issued, in Unix seconds; 0 when the token does not state it. */
  readonly issuedAt: number
  /** Time at which the token expires, in Unix seconds. */
  readonly expiresAt: number
}

/** Result of {@link authenticateMember}. `refused` is the reason, as text for the caller. */
export type MemberVerdict = { readonly principal: Principal; readonly refused?: undefined } | { readonly refused: string }

/**
 * Verifies a member's token, whose `sub` must be a member id (PROTOCOL.md §2). Returns a promise only if the verifier returns
 * one.
 */
export function authenticateMember(tokens: TokenVerifier, token: string | undefined): MemberVerdict | Promise<MemberVerdict> {
  const verdict = tokens.verify(token)
  return verdict instanceof Promise ? verdict.then(memberVerdict) : memberVerdict(verdict)
}

function memberVerdict(verdict: Verdict): MemberVerdict {
  if (verdict.refused !== undefined) return verdict
  const memberId = memberIdOf(verdict.claims.sub)
  if (memberId === undefined) return { refused: 'sub of the token is not a member id' }
  return { principal: { memberId, issuedAt: verdict.claims.iat ?? 0, expiresAt: verdict.claims.exp } }
}

function memberIdOf(sub: string | number): number | undefined {
  const id = typeof sub === 'number' ? sub : /^[1-9]\d{0,15}$/.test(sub) ? Number(sub) : Number.NaN
  return Number.isSafeInteger(id) && id > 0 ? id : undefined
}
