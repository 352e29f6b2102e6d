import { Close } from '@tidings/protocol'
import type { Hub } from '../channel/hub.ts'
import { type Peer, Session, type SessionContext, type SessionListener, sweepMs } from './session.ts'
import type { Transport } from '../socket/transport.ts'

/** A drained session comes back within this. */
const reconnectSpreadMs = 1_000
/** A sweep that is this late says more about us than about the sessions. */
const stallMs = 5_000

/** All sessions of the process: their caps, the one timer that looks after them, and their end. */
export class Sessions implements SessionListener {
  readonly #context: SessionContext
  readonly #hub: Hub
  readonly #all = new Set<Session>()
  /** Sessions by member, oldest first: from the upgrade on, so that a revoke finds those too that have not said CONNECT yet. */
  readonly #byMember = new Map<number, Session[]>()
  readonly #timer: NodeJS.Timeout
  #sweptAt = performance.now()
  /** Set while draining: those that are to end, in this order. */
  #leaving: Session[] | undefined
  #onEmpty: (() => void) | undefined

  constructor(context: SessionContext) {
    this.#context = context
    this.#hub = context.hub
    this.#timer = setInterval(() => this.#sweep(), sweepMs)
  }

  get size(): number {
    return this.#all.size
  }

  get draining(): boolean {
    return this.#leaving !== undefined
  }

  get full(): boolean {
    return this.#all.size >= this.#context.limits.maxSessions
  }

  get subscriptions(): number {
    let total = 0
    for (const session of this.#all) total += session.subscriptions.size
    return total
  }

  open(transport: Transport, peer: Peer): Session {
    const session = new Session(transport, peer, this.#context, this)
    this.#all.add(session)
    this.#seat(session)
    // Its handshake began before the drain did.
    this.#leaving?.push(session)
    return session
  }

  of(memberId: number): readonly Session[] {
    return this.#byMember.get(memberId) ?? []
  }

  ended(session: Session): void {
    this.#all.delete(session)
    const { memberId } = session.principal
    const others = this.#byMember.get(memberId)?.filter((other) => other !== session)
    if (others?.length) this.#byMember.set(memberId, others)
    else this.#byMember.delete(memberId)
    if (this.#all.size === 0) this.#onEmpty?.()
  }

  /** Ends the member's sessions: the token was taken back. */
  revoke(memberId: number): void {
    for (const session of this.of(memberId)) session.refuse(Close.unauthorized, 'the session was revoked')
  }

  /**
   * Takes no more, and ends all sessions, spread evenly over `drainMs`, each told when to come back. Resolves when the last one is
   * gone.
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
    const timer = setInterval(step, Math.max(1, Math.min(50, drainMs / 20)))
    while (this.#all.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve))
    clearInterval(timer)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Gives it a place among its member's sessions; the oldest makes room. */
  #seat(session: Session): void {
    const { memberId } = session.principal
    const others = this.#byMember.get(memberId)
    const most = this.#context.limits.maxSessionsPerMember
    if (!others) this.#byMember.set(memberId, [session])
    else if (others.push(session) > most) {
      others[0]?.refuse(Close.displaced, `more than ${most} sessions of this member (MAX_SESSIONS_PER_MEMBER): the oldest ends`)
    }
  }

  #sweep(): void {
    const now = performance.now()
    // The process itself stood still: what the sockets have for us is read before anybody is called silent or slow.
    const stalled = now - this.#sweptAt > stallMs
    this.#sweptAt = now
    if (stalled) return
    for (const session of this.#all) session.sweep(now)
    this.#hub.sweep(now)
  }
}
