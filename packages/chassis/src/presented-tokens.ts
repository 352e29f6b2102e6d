/** The tokens that a request presents for a member. */
export interface PresentedTokens {
  /** The header that they are from. */
  readonly header: 'authorization' | 'cookie'
  readonly tokens: readonly string[]
}

/** Most cookies of the same name that are read. Browsers send one for each path and domain on which it was set. */
const maxCookiesOfOneName = 8

const challenge = 'Bearer realm="tidings"'

/**
 * Returns the tokens for a member: the one of `Authorization: Bearer` if there is one, otherwise all cookies of the name. Browsers send
 * cookies by themselves, and never this header: a request with it cannot be forged by a page of another site.
 */
export function presentedTokens(
  { authorization, cookie }: { readonly authorization?: string | undefined; readonly cookie?: string | undefined },
  cookieName: string,
): PresentedTokens {
  const token = bearerToken(authorization)
  if (token !== undefined) return { header: 'authorization', tokens: [token] }
  return { header: 'cookie', tokens: cookie === undefined ? [] : cookieValues(cookie, cookieName) }
}

/** Returns the token of `Authorization: Bearer` (RFC 6750 §2.1); undefined for any other scheme. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^Bearer +(\S+)$/i.exec(authorization)?.[1]
}

/** Returns the challenge to a backend whose token was refused for this reason; without one, to a backend that sent none (RFC 6750 §3). */
export function bearerChallenge(refused?: string): string {
  return refused === undefined ? challenge : `${challenge}, error="invalid_token", error_description="${refused}"`
}

/** Returns the challenges to a member whose tokens were refused for this reason. */
export function memberChallenge({ header }: PresentedTokens, refused: string, cookieName: string): string {
  const bearer = bearerChallenge(header === 'authorization' ? refused : undefined)
  return `${bearer}, Cookie realm="tidings", cookie-name="${cookieName}"`
}

/** Returns the values of the cookies of a name, in the order of a Cookie header (RFC 6265 §4.2.1). */
function cookieValues(header: string, name: string): string[] {
  const values: string[] = []
  for (let begin = 0; begin < header.length && values.length < maxCookiesOfOneName; ) {
    const semicolon = header.indexOf(';', begin)
    const end = semicolon === -1 ? header.length : semicolon
    const equals = header.indexOf('=', begin)
    if (equals !== -1 && equals < end && header.slice(begin, equals).trim() === name) {
      values.push(cookieValue(header.slice(equals + 1, end).trim()))
    }
    begin = end + 1
  }
  return values
}

/** Some servers quote the value (RFC 6265 §4.1.1), or encode it. */
function cookieValue(text: string): string {
  const value = text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
