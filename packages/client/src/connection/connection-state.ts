/**
 * - `connecting`: the first attempt is under way.
 * - `connected`: every message sent from now on arrives.
 * - `reconnecting`: the connection was lost. `retryAt` is when the next attempt starts.
 * - `offline`: neither the gateway nor the HTTP API can be reached. Attempts continue.
 * - `unauthorized`: the token has expired and could not be renewed. Nothing is attempted until `start()` is called.
 * - `stopped`: not started, stopped, or refused for the `reason` given. Nothing is attempted until `start()` is called.
 */
export type ConnectionStatus = 'connecting' | 'connected' | 'reconnecting' | 'unauthorized' | 'offline' | 'stopped'

/**
 * Why the connection is `stopped` without a call of `stop()`: a newer session replaced it, the gateway refuses this client, or a tab called
 * `signOut()`.
 */
export type StopReason = 'signed-out' | 'displaced' | 'forbidden' | 'incompatible'

/** State of the connection that all tabs share, as seen in each of them. */
export interface ConnectionState {
  readonly status: ConnectionStatus
  /** When the next attempt starts, in milliseconds since 1970. */
  readonly retryAt?: number
  readonly reason?: StopReason
  /** Whether this tab holds the connection. */
  readonly leader: boolean
}
