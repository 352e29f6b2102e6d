import { Close, type MemberId } from '@tidings/protocol'
import type { Capacity, Peer } from '../socket/handshake.ts'
import type { Transport } from '../socket/transport.ts'
import { Displacements } from './displacements.ts'
import { refuse } from './outcome.ts'
import { Session, type SessionDeps } from './session.ts'
import { sweepMs } from './sweep-interval.ts'

/** Longest delay after which a drained client reconnects. */
const reconnectSpreadMs = 1_000
/** A sweep that is this late means that the process was suspended, not that the clients were silent. */
const stallMs = 5_000
/** A drain closes sessions in this many steps, which take at most `maxDrainStepMs` each. */
const drainSteps = 20
const maxDrainStepMs = 50

/** All sessions of the process: their limits, the one timer that checks them, and the drain. */
export class Sessions implements Capacity {
  readonly #deps: SessionDeps
  readonly #all = new Set<Session>()
  /** Sessions by member, oldest first, from the upgrade on: a revoke also ends those that have not sent CONNECT yet. */
  readonly #byMember = new Map<MemberId, Session[]>()
  readonly #displacements = new Displacements()
  readonly #timer: NodeJS.Timeout
  #sweptAt = performance.now()
  /** Set while draining: the sessions to close, in this order. */
  #leaving: Session[] | undefined
  #onEmpty: (() => void) | undefined

  constructor(deps: SessionDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => this.#sweep(), sweepMs)
  }

  get size(): number {
    return this.#all.size
  }

  get draining(): boolean {
    return this.#leaving !== undefined
  }

  get full(): boolean {
    return this.#all.size >= this.#deps.limits.maxSessions
  }

  retryAfterMs(memberId: MemberId): number {
    if (this.of(memberId).length < this.#deps.limits.maxSessionsPerMember) return 0
    return this.#displacements.retryAfterMs(memberId, performance.now())
  }

  get subscriptions(): number {
    let total = 0
    for (const session of this.#all) total += session.subscriptions.size
    return total
  }

  /** Opens the session of an upgraded connection. */
  open(transport: Transport, peer: Peer): Session {
    const session = new Session(transport, peer, this.#deps, this.#onEnded)
    this.#all.add(session)
    this.#addToMember(session)
    // The handshake began before the drain did.
    this.#leaving?.push(session)
    return session
  }

  /** Returns the member's sessions, oldest first. */
  of(memberId: MemberId): readonly Session[] {
    return this.#byMember.get(memberId) ?? []
  }

  readonly #onEnded = (session: Session): void => {
    this.#all.delete(session)
    const { memberId } = session.principal
    const others = this.#byMember.get(memberId)?.filter((other) => other !== session)
    if (others?.length) this.#byMember.set(memberId, others)
    else this.#byMember.delete(memberId)
    if (this.#all.size === 0) this.#onEmpty?.()
  }

  /** Ends those of the member's sessions whose token is revoked. Returns their number. */
  revoke(memberId: MemberId, isRevoked: (session: Session) => boolean): number {
    const revoked = this.of(memberId).filter(isRevoked)
    for (const session of revoked) session.refuse(refuse(Close.unauthorized, 'the session was revoked'))
    return revoked.length
  }

  /**
   * Admits no further session, and closes all, spread evenly over `drainMs`. Each client is notified when to reconnect. Resolves when the
   * last session has ended.
   */
  async drain(drainMs: number): Promise<void> {
    const leaving = [...this.#all]
    this.#leaving = leaving
    const startedAt = performance.now()
    let ended = 0
    const step = () => {
      const due = Math.min(leaving.length, Math.ceil(((performance.now() - startedAt) / drainMs) * leaving.length))
      while (ended < due) leaving[ended++]?.restart(Math.round(Math.random() * reconnectSpreadMs))
    }
    const timer = setInterval(step, Math.max(1, Math.min(maxDrainStepMs, drainMs / drainSteps)))
    while (this.#all.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve))
    clearInterval(timer)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Adds the session to those of its member, and ends the oldest when there are too many. */
  #addToMember(session: Session): void {
    const { memberId } = session.principal
    const others = this.#byMember.get(memberId)
    const most = this.#deps.limits.maxSessionsPerMember
    if (!others) this.#byMember.set(memberId, [session])
    else if (others.push(session) > most) {
      const reason = `more than ${most} sessions of this member (MAX_SESSIONS_PER_MEMBER): the oldest ends`
      this.#displacements.record(memberId, performance.now())
      others[0]?.refuse(refuse(Close.displaced, reason))
    }
  }

  #sweep(): void {
    const now = performance.now()
    // After the process was suspended, skip one sweep: the sockets must be read before a client counts as silent or slow.
    const stalled = now - this.#sweptAt > stallMs
    this.#sweptAt = now
    if (stalled) return
    for (const session of this.#all) session.sweep(now)
    this.#deps.hub.sweep(now)
    this.#displacements.sweep(now)
  }
}
