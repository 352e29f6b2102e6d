/** What the member authenticated with at the handshake. Calls to notify-api on behalf of the member carry it. */
export interface Credentials {
  /** The JWT of the member cookie. */
  readonly token: string
  readonly origin: string
}

/** Returns the headers with which notify-api authenticates the member, as it would the browser. */
export function credentialHeaders({ token, origin }: Credentials, memberCookie: string): { cookie: string; origin: string } {
  return { cookie: `${memberCookie}=${token}`, origin }
}
