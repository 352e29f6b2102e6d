/** WebSocket close codes of the gateway, each with the reaction of the client (PROTOCOL.md §7). */
export const Close = {
  /** DISCONNECT, or the client closed the socket. */
  done: 1000,
  /** The gateway stops, or it rotates the session: reconnect after `reconnectAfterMs`. */
  restarting: 1012,
  /** A frame violated the protocol or one of its limits: do not reconnect unchanged. */
  badFrame: 4400,
  /** The token has expired or was revoked: renew it, then reconnect. */
  unauthorized: 4401,
  /** The request is not allowed: do not reconnect unchanged. */
  forbidden: 4403,
  /** No CONNECT in time, or silence for three heart-beat periods: reconnect with backoff. */
  timeout: 4408,
  /** A newer session of the member replaced this one: do not reconnect. */
  displaced: 4409,
  /** Too many frames: reconnect with backoff. */
  flood: 4429,
  /** The client reads too slowly: reconnect with backoff and resume. */
  slow: 4508,
} as const

/** A close code that the gateway sends. */
export type CloseCode = (typeof Close)[keyof typeof Close]
