const encodeIt = 'percent-encode special characters in user and password, such as # as %23, / as %2F and @ as %40'

/**
 * Returns why a URL cannot be the address of a server, or undefined. `schemes` are without colon. The reason contains no part of the URL,
 * which may have a password.
 */
export function refusalOfServerUrl(text: string, schemes: readonly string[]): string | undefined {
  if (!schemes.some((scheme) => text.startsWith(`${scheme}://`)))
    return `must begin with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  // A special character that is not encoded ends the authority, so that the rest of the password is in the path, query or fragment.
  const cut = url === undefined || text.includes('#') || /@/.test(url.pathname + url.search)
  if (cut || ![url.username, url.password].every(isDecodable)) return `is not a valid URL: ${encodeIt}`
  return url.hostname === '' ? 'names no host' : undefined
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
