import { Close } from '@tidings/protocol/close'
import type { StopReason } from './connection-state.ts'

/** RFC 6455 §7.4.1: closed without a Close frame. */
export const abnormalClosure = 1006

/** What to do after a session was closed (PROTOCOL.md §7). */
export type CloseAction =
  /** Reconnect after `afterMs` when the gateway announced it, otherwise with backoff. */
  | { readonly action: 'reconnect'; readonly afterMs?: number }
  /** Renew the token, then reconnect. */
  | { readonly action: 'renew' }
  /** The upgrade was refused or never reached the gateway. Browsers hide which, so ask the HTTP API. */
  | { readonly action: 'probe' }
  | { readonly action: 'stop'; readonly reason: StopReason }

export interface SessionClose {
  readonly code: number
  readonly reason: string
  /** Whether CONNECTED was received. */
  readonly wasConnected: boolean
  /** `reconnectAfterMs` from the gateway's `draining` message, if there was one. */
  readonly delayMs?: number | undefined
}

const delayInReason = /^reconnect after (\d{1,9}) ms$/

export function closeAction({ code, reason, wasConnected, delayMs }: SessionClose): CloseAction {
  switch (code) {
    case Close.restarting: {
      const afterMs = delayMs ?? delayInReason.exec(reason)?.[1]
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
      return wasConnected ? { action: 'reconnect' } : { action: 'probe' }
  }
}
