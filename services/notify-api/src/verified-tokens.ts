import type { TokenVerifier, Verdict } from '@tidings/chassis'

const maxTokens = 10_000
const believedMs = 10_000

/**
 * Remembers for a few seconds what was verified: a backend sends the same token with each of its thousands of requests. Not for
 * longer, so that a key that is withdrawn is soon refused; expiry is always honoured.
 */
export function rememberVerified(tokens: TokenVerifier): TokenVerifier {
  const verified = new Map<string, { readonly verdict: Verdict & { refused?: undefined }; readonly until: number }>()
  return {
    async verify(token) {
      const known = token && verified.get(token)
      const now = Date.now()
      if (known && known.until > now) return known.verdict
      const verdict = await tokens.verify(token)
      if (!token || verdict.refused !== undefined) return verdict
      verified.delete(token)
      verified.set(token, { verdict, until: Math.min(now + believedMs, verdict.claims.exp * 1_000) })
      if (verified.size > maxTokens) verified.delete(verified.keys().next().value as string)
      return verdict
    },
  }
}
