/** WebSocket close codes and what each tells the client to do (PROTOCOL.md §7). */
export const Close = {
  /** The conversation is over: DISCONNECT, or the client went away. */
  done: 1000,
  /** This gateway is stopping or shedding: reconnect after the told delay. */
  restarting: 1012,
  /** The client broke the protocol or a limit of it: do not come back unchanged. */
  badFrame: 4400,
  /** The token has expired or was revoked: renew it first. */
  unauthorized: 4401,
  /** Not allowed: do not come back unchanged. */
  forbidden: 4403,
  /** No CONNECT in time, or silence for three heart-beat periods: reconnect with backoff. */
  timeout: 4408,
  /** A newer session of this member took the place: do not fight back. */
  displaced: 4409,
  /** Too many frames: reconnect with backoff. */
  flood: 4429,
  /** Too slow in reading: reconnect with backoff and resume. */
  slow: 4508,
} as const

export type CloseCode = (typeof Close)[keyof typeof Close]
