import { setTimeout as delay } from 'node:timers/promises'
import { type Log, Recurring, Revocations } from '@tidings/chassis'
import { type ControlMessage, controlChannel, type Revocation } from '@tidings/protocol'
import type { Outbox } from '../outbox/outbox.ts'
import type { OutboxStore } from '../outbox/store.ts'
import type { MemberSessions, RedisSessions } from './redis-sessions.ts'
import type { Revoked, RevocationStore } from './store.ts'

type MemberId = Revocation['memberId']

export interface SessionControlDeps {
  readonly store: RevocationStore
  readonly redis: RedisSessions
  readonly outbox: Pick<Outbox, 'publish'>
  readonly outboxStore: OutboxStore
  readonly maxRevocations: number
  readonly log: Log
}

/** How often each instance reads the changes of others, and checks that Redis has all revocations. */
const syncEveryMs = 400

/** As many members as `maxRevocations` have a revocation in force. */
export class TooManyRevocations extends Error {}

/** Redis, through which gateways are asked, does not reply. */
export class SessionsUnknown extends Error {}

/** Revokes tokens, and lists and ends sessions on all gateways. Keeps the revocations of all instances in memory and in Redis. */
export class SessionControl {
  readonly revocations = new Revocations()
  readonly #deps: SessionControlDeps
  readonly #sync: Recurring
  /** Revocations that Redis may not have. */
  #unsaved: readonly Revocation[] = []
  #last: string | undefined

  constructor(deps: SessionControlDeps) {
    this.#deps = deps
    this.#sync = new Recurring({
      intervalMs: syncEveryMs,
      run: () => this.#run(),
      log: deps.log,
      failure: 'revocations not read or not written to redis',
    })
  }

  /** Reads all revocations. Resolves when this instance refuses what is revoked. */
  async load(): Promise<void> {
    const { revocations, last } = await this.#deps.store.changes(this.#last)
    this.#last = last
    this.#unsaved = [...this.#unsaved, ...revocations.filter((revocation) => this.revocations.add(revocation))]
  }

  /**
   * Refuses the tokens that the member was issued until now, and closes their sessions. Waits for the end of the present second first, a
   * second at most: `iat` has whole seconds, and a device that renews its token at once must not be refused again.
   *
   * @throws TooManyRevocations
   */
  async revokeMember(memberId: MemberId): Promise<void> {
    const now = await this.#deps.store.now()
    const issuedBefore = Math.floor(now / 1_000) + 1
    await delay(issuedBefore * 1_000 - now)
    await this.#revoke(() => this.#deps.store.revokeMember(memberId, issuedBefore))
  }

  /**
   * Refuses the token of one session, and closes all sessions that use it. Resolves to false when no gateway has the session. `callerHash`
   * is the hash of the caller's own token: a device that signs out itself removes its own push subscription, and those of others stay.
   *
   * @throws TooManyRevocations, SessionsUnknown
   */
  async revokeSession(memberId: MemberId, sessionId: string, callerHash?: string): Promise<boolean> {
    const { sessions } = await this.of(memberId)
    const session = sessions.find((each) => each.sessionId === sessionId)
    if (!session) return false
    const { tokenHash, expiresAt } = session
    const keepSubscriptions = tokenHash === callerHash
    await this.#revoke(() => this.#deps.store.revokeToken(memberId, { tokenHash, expiresAt, keepSubscriptions }))
    return true
  }

  /**
   * Resolves to the sessions of a member on all gateways.
   *
   * @throws SessionsUnknown
   */
  of(memberId: MemberId): Promise<MemberSessions> {
    return this.#deps.redis.of(memberId).catch((error: unknown) => {
      throw new SessionsUnknown('redis does not reply', { cause: error })
    })
  }

  async close(): Promise<void> {
    await this.#sync.close()
    this.#deps.redis.close()
  }

  async #revoke(commit: () => Promise<Revoked>): Promise<void> {
    if (this.revocations.size >= this.#deps.maxRevocations) throw new TooManyRevocations()
    const revoked = await commit()
    this.revocations.add(revoked.revocation)
    // Written before it is published: a gateway that begins to listen after the publication reads it from there.
    await this.#deps.redis.save([revoked.revocation]).catch(() => (this.#unsaved = [...this.#unsaved, revoked.revocation]))
    await this.#deps.outbox.publish([revoked.event])
  }

  async #run(): Promise<void> {
    await this.load()
    const { redis } = this.#deps
    if (!(await redis.isComplete())) {
      await redis.save([...this.revocations.all()])
      await redis.complete()
      await this.#publish({ type: 'revocations' })
    }
    const unsaved = this.#unsaved
    if (unsaved.length > 0) {
      // An instance may have stopped between the commit and the write: then a gateway that began to listen in between lacks it.
      if ((await redis.save(unsaved)) > 0) await this.#publish({ type: 'revocations' })
      this.#unsaved = this.#unsaved.slice(unsaved.length)
    }
    await redis.remove(this.revocations.expire(Math.floor(Date.now() / 1_000)))
  }

  async #publish(message: ControlMessage): Promise<void> {
    const { outbox, outboxStore } = this.#deps
    await outbox.publish([await outboxStore.add(controlChannel, JSON.stringify(message))])
  }
}
