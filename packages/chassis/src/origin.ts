/** Scheme, optional `*.`, and the rest up to the end: host and port. */
const patternParts = /^([a-z][a-z0-9+.-]*:\/\/)(\*\.)?[^\s*/?#@\\]+$/i
/** A label in the place of `*`, so that the pattern can be parsed as a URL. */
const placeholder = 'wildcard.'

/**
 * True for a pattern of {@link originMatcher}. Only Origins of `http` and `https` may have a wildcard. No page has an Origin with the scheme
 * of a WebSocket, for which it is easily mistaken.
 */
export function isOriginPattern(pattern: string): boolean {
  const [, scheme, wildcard] = patternParts.exec(pattern) ?? []
  if (scheme === undefined || !URL.canParse(pattern.replace('*.', placeholder))) return false
  return isHttp(pattern) || (wildcard === undefined && !/^(?:wss?|ftp|file):/i.test(scheme))
}

/**
 * Returns a function that checks an Origin header (RFC 6454 §7) against an allow-list. A pattern is an Origin, also one of an app such as
 * `capacitor://localhost`, or an Origin whose host begins with `*.`, which stands for one or more labels: `https://*.example.com` matches
 * `https://a.b.example.com`, but not `https://example.com`. Upper case and the default port of the scheme make no difference. A missing
 * Origin and the Origin `null` never match: every browser sends an Origin, and a token in a cookie is not safe without that check.
 */
export function originMatcher(patterns: readonly string[]): (origin: string | undefined) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')).map(normalisePattern))
  const wildcards = patterns.filter((pattern) => pattern.includes('*')).map(wildcardOf)
  const matches = (origin: string) => exact.has(origin) || wildcards.some((pattern) => pattern.test(origin))
  return (origin) => origin !== undefined && (matches(origin) || matches(normalise(origin)))
}

/** Returns a pattern as browsers send it: scheme and host in lower case, without the default port of the scheme. */
function normalisePattern(pattern: string): string {
  // `URL.origin` is `null` for the schemes of apps.
  return isHttp(pattern) ? new URL(pattern).origin : pattern.toLowerCase()
}

/** Native clients send upper case, and the default port of the scheme. Browsers send neither. */
function normalise(origin: string): string {
  return origin.toLowerCase().replace(/^(https:.*):443$|^(http:.*):80$/, '$1$2')
}

function isHttp(text: string): boolean {
  return /^https?:/i.test(text)
}

function wildcardOf(pattern: string): RegExp {
  const [scheme, rest] = normalisePattern(pattern.replace('*.', placeholder)).split(placeholder) as [string, string]
  return new RegExp(`^${escape(scheme)}(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+${escape(rest)}$`)
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
