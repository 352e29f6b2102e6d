import { Close } from '@tidings/protocol/close'
import type { StopReason } from './connection-state.ts'

/** What to do after a close (PROTOCOL.md §7). */
export type Verdict =
  /** After `afterMs` when the gateway said so, with backoff otherwise. */
  | { readonly action: 'reconnect'; readonly afterMs?: number }
  /** Renew the token, then reconnect. */
  | { readonly action: 'renew' }
  /** The upgrade was refused, or never reached anybody: the HTTP API knows which. */
  | { readonly action: 'ask' }
  | { readonly action: 'stop'; readonly reason: StopReason }

export interface Closed {
  readonly code: number
  readonly reason: string
  /** Whether CONNECTED had come. */
  readonly wasConnected: boolean
  /** The `reconnectAfterMs` that this session was told. */
  readonly toldMs?: number | undefined
}

const toldInReason = /^reconnect after (\d{1,9}) ms$/

export function verdictOf({ code, reason, wasConnected, toldMs }: Closed): Verdict {
  switch (code) {
    case Close.restarting: {
      const afterMs = toldMs ?? toldInReason.exec(reason)?.[1]
      return afterMs === undefined ? { action: 'reconnect' } : { action: 'reconnect', afterMs: Number(afterMs) }
    }
    case Close.unauthorized:
      return { action: 'renew' }
    case Close.displaced:
      return { action: 'stop', reason: 'displaced' }
    case Close.forbidden:
      return { action: 'stop', reason: 'forbidden' }
    case Close.badFrame:
      return { action: 'stop', reason: 'incompatible' }
    default:
      return wasConnected ? { action: 'reconnect' } : { action: 'ask' }
  }
}
