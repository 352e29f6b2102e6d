import { Close, type HeartBeat } from '@tidings/protocol'
import type { Limits } from '../config.ts'
import type { Transport } from '../socket/transport.ts'
import { type Refusal, refuse } from './outcome.ts'
import { sweepMs } from './sweep-interval.ts'

/** A client that is silent for this many heart-beat periods is lost, and its session ends. */
const silencePeriods = 3
/**
 * A client gets a ping after this many periods of silence, which leaves it one for the pong. Also where heart-beats were agreed: a browser
 * runs the timers of a hidden tab once a minute, but responds to pings at once.
 */
const pingAfterPeriods = 2
/** Share of SESSION_MAX_AGE_SECONDS by which a session may live shorter or longer, so that clients do not reconnect all at once. */
const ageJitter = 0.2
/** A client whose session is rotated reconnects within this. */
const rotationSpreadMs = 1_000
/** A client learns this long before the end of its token that the token expires. */
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
  /** The client is silent, and must prove that it is there. */
  readonly ping?: boolean
  /** The client does not know yet that its token expires soon. */
  readonly expiring?: boolean
}

/** The deadlines of one session. Times are ms of `performance.now()` unless they say otherwise. */
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

  /** Time at which the client was last heard of. */
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
    // One sweep early: the next one may be too late.
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
