import { Close } from '@tidings/protocol'
import type { Hub } from './hub.ts'
import { type Peer, Session, type SessionContext, type SessionListener, sweepMs } from './session.ts'
import type { Transport } from './transport.ts'

/** A drained session comes back within this. */
const reconnectSpreadMs = 1_000

/** All sessions of the process: their caps, the one timer that looks after them, and their end. */
export class Sessions implements SessionListener {
  readonly #context: SessionContext
  readonly #hub: Hub
  readonly #all = new Set<Session>()
  /** Connected sessions by member, oldest first. */
  readonly #byMember = new Map<number, Session[]>()
  readonly #timer: NodeJS.Timeout
  #draining = false
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
    return this.#draining
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
    return session
  }

  of(memberId: number): readonly Session[] {
    return this.#byMember.get(memberId) ?? []
  }

  connected(session: Session): void {
    const { memberId } = session.principal
    const others = this.#byMember.get(memberId)
    if (!others) this.#byMember.set(memberId, [session])
    else if (others.push(session) > this.#context.limits.maxSessionsPerMember) {
      const most = this.#context.limits.maxSessionsPerMember
      others[0]?.refuse(Close.displaced, `more than ${most} sessions of this member (MAX_SESSIONS_PER_MEMBER): the oldest ends`)
    }
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
   * Ends all sessions, spread evenly over `drainMs`, each told when to come back. Resolves when the last one is gone. A second call
   * resolves with the first.
   */
  async drain(drainMs: number): Promise<void> {
    this.#draining = true
    const sessions = [...this.#all]
    const startedAt = performance.now()
    let ended = 0
    const step = () => {
      const due = Math.min(sessions.length, Math.ceil(((performance.now() - startedAt) / drainMs) * sessions.length))
      while (ended < due) sessions[ended++]?.restart(Math.round(Math.random() * reconnectSpreadMs))
    }
    const timer = setInterval(step, Math.max(1, Math.min(50, drainMs / 20)))
    while (this.#all.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve))
    clearInterval(timer)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #sweep(): void {
    const now = performance.now()
    for (const session of this.#all) session.sweep(now)
    this.#hub.sweep(now)
  }
}
