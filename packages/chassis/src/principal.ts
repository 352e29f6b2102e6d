import { type MemberId, parseMemberId } from '@tidings/protocol'
import type { Revocations } from './revocations.ts'
import type { Claims } from './claims.ts'
import type { TokenVerifier, Verdict } from './token-verifier.ts'

/** The authenticated member of a session or a request. */
export interface Principal {
  readonly memberId: MemberId
  /** Time at which the token was issued, in Unix seconds; 0 when the token does not state it. */
  readonly issuedAt: number
  /** Time at which the token expires, in Unix seconds. */
  readonly expiresAt: number
}

/** Result of {@link authenticateMember}: the member with the token that is valid, or the reason of the refusal as text for the caller. */
export type MemberVerdict =
  | { readonly principal: Principal; readonly claims: Claims; readonly token: string; readonly refused?: undefined }
  | {
      readonly refused: string
      /** True for a token that is valid, but was revoked. */
      readonly revoked?: boolean
    }

/** Verifies one token, or undefined where a request presents none. */
type Verify = (token: string | undefined) => MemberVerdict | Promise<MemberVerdict>

/**
 * Verifies the tokens that a request presents for a member, in their order. The first one that is valid and not revoked counts, and its
 * subject must be a member id (PROTOCOL.md §2). If there is none, the first one is the reason. Returns a promise only if the verifier
 * returns one, or if there are several tokens.
 */
export function authenticateMember(
  verifier: TokenVerifier,
  tokens: readonly string[],
  revocations?: Revocations,
): MemberVerdict | Promise<MemberVerdict> {
  const verify: Verify = (token) => {
    const verdict = verifier.verify(token)
    if (verdict instanceof Promise) return verdict.then((later) => memberVerdict(later, token, revocations))
    return memberVerdict(verdict, token, revocations)
  }
  const [token, ...others] = tokens
  const first = verify(token)
  const admitted = !(first instanceof Promise) && first.refused === undefined
  return others.length === 0 || admitted ? first : firstAdmitted(verify, first, others)
}

async function firstAdmitted(
  verify: Verify,
  first: MemberVerdict | Promise<MemberVerdict>,
  others: readonly string[],
): Promise<MemberVerdict> {
  const verdict = await first
  if (verdict.refused === undefined) return verdict
  for (const token of others) {
    // One after another: a valid token ends the loop.
    const other = await verify(token)
    if (other.refused === undefined) return other
  }
  return verdict
}

function memberVerdict(verdict: Verdict, token = '', revocations?: Revocations): MemberVerdict {
  if (verdict.refused !== undefined) return { refused: verdict.refused }
  const memberId = parseMemberId(verdict.subject)
  if (memberId === undefined) return { refused: 'the subject of the token is not a member id' }
  const { claims } = verdict
  const principal = { memberId, issuedAt: claims.iat ?? 0, expiresAt: claims.exp }
  if (revocations?.refuses(principal, token)) return { refused: 'the token was revoked', revoked: true }
  return { principal, claims, token }
}
