import type { TokenVerifier, Verdict } from './token.ts'

/** For whom a session or a member's request acts. `expiresAt`: Unix seconds. */
export interface Principal {
  readonly memberId: number
  readonly expiresAt: number
}

export type MemberVerdict = { readonly principal: Principal; readonly refused?: undefined } | { readonly refused: string }

/** Verifies a member's token; `refused` says why not. A promise only where the verifier answers with one. */
export function authenticateMember(tokens: TokenVerifier, token: string | undefined): MemberVerdict | Promise<MemberVerdict> {
  const verdict = tokens.verify(token)
  return verdict instanceof Promise ? verdict.then(memberVerdict) : memberVerdict(verdict)
}

function memberVerdict(verdict: Verdict): MemberVerdict {
  if (verdict.refused !== undefined) return verdict
  const memberId = memberIdOf(verdict.claims.sub)
  if (memberId === undefined) return { refused: 'sub of the token is not a member id' }
  return { principal: { memberId, expiresAt: verdict.claims.exp } }
}

function memberIdOf(sub: string | number): number | undefined {
  const id = typeof sub === 'number' ? sub : /^[1-9]\d{0,15}$/.test(sub) ? Number(sub) : Number.NaN
  return Number.isSafeInteger(id) && id > 0 ? id : undefined
}
