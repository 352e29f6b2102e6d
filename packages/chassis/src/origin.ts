/**
 * Tells whether an Origin header (RFC 6454 §7) is on the allow-list. A pattern is an Origin, or one whose host begins with `*.`,
 * which stands for one or more labels: `https://*.example.com` takes `https://a.b.example.com`, not `https://example.com`.
 * A missing Origin and the Origin `null` are refused: every browser sends one, and a token in a cookie is only safe where it does.
 */
export function originMatcher(patterns: readonly string[]): (origin: string | undefined) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')).map(normalise))
  const wildcards = patterns.filter((pattern) => pattern.includes('*')).map(wildcard)
  return (origin) => {
    if (origin === undefined) return false
    return exact.has(origin) || wildcards.some((pattern) => pattern.test(origin))
  }
}

/** Browsers send the scheme and host in lower case and leave out the scheme's own port. */
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
