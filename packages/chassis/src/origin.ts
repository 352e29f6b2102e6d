/**
 * Returns a function that checks an Origin header (RFC 6454 §7) against an allow-list. A pattern is an Origin, or an Origin whose
 * host begins with `*.`, which stands for one or more labels: `https://*.example.com` matches `https://a.b.example.com`, but not
 * `https://example.com`. A missing Origin and the Origin `null` never match: every browser sends an Origin, and a token in a
 * cookie is not safe without that check.
 */
export function originMatcher(patterns: readonly string[]): (origin: string | undefined) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')).map(normalise))
  const wildcards = patterns.filter((pattern) => pattern.includes('*')).map(wildcard)
  return (origin) => {
    if (origin === undefined) return false
    return exact.has(origin) || wildcards.some((pattern) => pattern.test(origin))
  }
}

/** Returns a pattern as browsers send it: scheme and host in lower case, without the default port of the scheme. */
function normalise(pattern: string): string {
  return new URL(pattern).origin
}

function wildcard(pattern: string): RegExp {
  const [scheme, rest] = normalise(pattern.replace('*.', 'wildcard.')).split('wildcard.') as [string, string]
  return new RegExp(`^${escape(scheme)}(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+${escape(rest)}$`)
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
