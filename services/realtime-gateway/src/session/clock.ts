import { Close, type HeartBeat } from '@tidings/protocol'
import type { Limits } from '../config.ts'
import type { Transport } from '../socket/transport.ts'
import { type Refusal, refuse } from './outcome.ts'
import { sweepMs } from './sweep-interval.ts'

/** The session of a client that is silent for this many heart-beat periods ends. */
const silencePeriods = 3
/**
 * A client gets a ping after this many silent periods. It then has one period for the pong. This holds with heart-beats, too: a browser
 * runs the timers of a hidden tab once a minute, but responds to pings at once.
 */
const pingAfterPeriods = 2
/** Share of SESSION_MAX_AGE_SECONDS by which a session may live shorter or longer, so that clients do not reconnect all at once. */
const ageJitter = 0.2
/** Longest delay after which a client whose session is rotated reconnects. */
const rotationSpreadMs = 1_000
/** How long before its token expires a client is notified. */
const expiryNoticeMs = 60_000

const noBeats: HeartBeat = { sendMs: 0, expectMs: 0 }
const nothingDue: Verdict = {}

/** Refusal of a client that leaves too many bytes unread, or for too long. */
export const tooSlow: Refusal = refuse(Close.slow, 'too much was left unread for too long (MAX_BUFFERED_BYTES, MAX_BUFFERED_MS)')

/** What is due in a session. With `refusal` or `reconnectAfterMs` the session ends, and nothing else is due. */
export interface Verdict {
  readonly refusal?: Refusal
  /** The session has reached its age: it is rotated, and the client reconnects after this delay. */
  readonly reconnectAfterMs?: number
  /** The gateway owes the client a heart-beat. */
  readonly beat?: boolean
  /** The client is silent, and must reply to a ping. */
  readonly ping?: boolean
  /** The token expires soon, and the client has not been notified yet. */
  readonly expiring?: boolean
}

/** The deadlines of one session. Times are ms of `performance.now()` unless stated otherwise. */
export class SessionClock {
  readonly #limits: Limits
  /** Unix seconds. */
  readonly #expiresAt: number
  readonly #openedAt: number
  readonly #rotateAt: number
  #activeAt: number
  #pingedAt: number
  /** Undefined until CONNECT. */
  #heartBeat: HeartBeat | undefined = undefined
  #expiryNotified = false

  /** `expiresAt`: end of the token, Unix seconds. */
  constructor(limits: Limits, expiresAt: number) {
    this.#limits = limits
    this.#expiresAt = expiresAt
    this.#openedAt = performance.now()
    this.#activeAt = this.#openedAt
    this.#pingedAt = this.#openedAt
    this.#rotateAt = this.#openedAt + limits.sessionMaxAgeMs * (1 - ageJitter + Math.random() * 2 * ageJitter)
  }

  /** Time of the client's last activity. Resumed reading counts as activity. */
  get activeAt(): number {
    return this.#activeAt
  }

  /** `activeAt` in Unix ms. */
  get lastActivityAt(): number {
    return Math.round(performance.timeOrigin + this.#activeAt)
  }

  /** CONNECT was accepted with these heart-beats. */
  connected(heartBeat: HeartBeat): void {
    this.#heartBeat = heartBeat
  }

  active(): void {
    this.#activeAt = performance.now()
  }

  expiryNotified(): void {
    this.#expiryNotified = true
  }

  /** Returns what is due at `now`. `reading` is false while the gateway itself has stopped reading from the client. */
  check(now: number, transport: Transport, reading: boolean): Verdict {
    const { connectTimeoutMs, maxBufferedMs } = this.#limits
    if (this.#heartBeat === undefined && now - this.#openedAt > connectTimeoutMs) {
      return { refusal: refuse(Close.timeout, `no CONNECT within ${connectTimeoutMs} ms (CONNECT_TIMEOUT_MS)`) }
    }
    if (now - (transport.bufferedSince ?? now) > maxBufferedMs) return { refusal: tooSlow }
    if (now > this.#rotateAt) return { reconnectAfterMs: Math.round(Math.random() * rotationSpreadMs) }
    if (reading && this.#silent(now)) {
      return { refusal: refuse(Close.timeout, `silent for ${silencePeriods} heart-beat periods of ${this.#expectMs} ms`) }
    }
    const expiresInMs = this.#expiresAt * 1_000 - Date.now()
    if (expiresInMs <= 0) return { refusal: refuse(Close.unauthorized, 'the token has expired') }
    return this.#due(now, transport.sentAt, expiresInMs <= expiryNoticeMs && !this.#expiryNotified)
  }

  /** Silence counts only once a ping was sent and had its time: after a standstill of the process the client gets that chance, too. */
  #silent(now: number): boolean {
    const pinged = this.#pingedAt > this.#activeAt
    return pinged && now - this.#pingedAt > this.#expectMs * (silencePeriods - pingAfterPeriods)
  }

  #due(now: number, sentAt: number, expiring: boolean): Verdict {
    const { sendMs } = this.#heartBeat ?? noBeats
    // Up to one sweep early, because the next sweep may be too late.
    const beat = sendMs > 0 && now - sentAt >= sendMs - sweepMs
    const quietSince = Math.max(this.#activeAt, this.#pingedAt)
    const ping = now - quietSince >= this.#expectMs * pingAfterPeriods
    if (ping) this.#pingedAt = now
    return beat || ping || expiring ? { beat, ping, expiring } : nothingDue
  }

  /** Period of the client's heart-beats; for a client without them, the period in which it must reply to a ping. */
  get #expectMs(): number {
    return this.#heartBeat?.expectMs || this.#limits.heartBeatMs
  }
}
