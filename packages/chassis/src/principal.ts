import { type MemberId, parseMemberId } from '@tidings/protocol'
import type { TokenVerifier, Verdict } from './token-verifier.ts'

/** The authenticated member of a session or a request. */
export interface Principal {
  readonly memberId: MemberId
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
  const memberId = parseMemberId(verdict.claims.sub)
  if (memberId === undefined) return { refused: 'sub of the token is not a member id' }
  return { principal: { memberId, expiresAt: verdict.claims.exp } }
}
