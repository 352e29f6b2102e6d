/** What the member authenticated with at the handshake. Calls to notify-api on behalf of the member carry it. */
export interface Credentials {
  /** The JWT of the member. */
  readonly token: string
  /** Origin of the page that sent the token as a cookie; undefined for a token that was sent as `Authorization: Bearer`. */
  readonly origin: string | undefined
}

/** Returns the headers with which notify-api authenticates the member, as it would the client. */
export function credentialHeaders({ token, origin }: Credentials, memberCookie: string): Record<string, string> {
  return origin === undefined ? { authorization: `Bearer ${token}` } : { cookie: `${memberCookie}=${token}`, origin }
}
