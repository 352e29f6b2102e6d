/**
 * - `connecting`: for the first time.
 * - `connected`: live; everything sent from here on arrives.
 * - `reconnecting`: the connection was lost; `retryAt` tells when the next attempt is.
 * - `offline`: neither the gateway nor the HTTP API can be reached; still retried.
 * - `unauthorized`: the token has ended and could not be renewed. Nothing is tried until `start()` is called.
 * - `stopped`: not started, stopped, or told not to come back (`reason`). Nothing is tried until `start()` is called.
 */
export type ConnectionStatus = 'connecting' | 'connected' | 'reconnecting' | 'unauthorized' | 'offline' | 'stopped'

/** Why it is `stopped` although nobody called `stop()`: a newer session took the place, or the gateway refuses this client. */
export type StopReason = 'displaced' | 'forbidden' | 'incompatible'

/** The one connection of all tabs, as seen in each of them. */
export interface ConnectionState {
  readonly status: ConnectionStatus
  /** When the next attempt is made; milliseconds since 1970. */
  readonly retryAt?: number
  readonly reason?: StopReason
  /** Whether this tab is the one that holds the connection. */
  readonly leader: boolean
}
