import { type Log, type Revocations, tokenHashOf } from '@tidings/chassis'
import { ControlMessage, type Publication, type Revocation, type SessionsReply } from '@tidings/protocol'
import { parseJson } from '../backend/parse-json.ts'
import type { CursorSink } from '../channel/cursor.ts'
import type { RedisRevocations } from '../redis/redis-revocations.ts'
import type { Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

export interface ControlDeps {
  readonly sessions: Sessions
  readonly revocations: Revocations
  readonly store: RedisRevocations
  readonly log: Log
}

const expireEveryMs = 60_000

/** Executes the control messages to all gateways, from the channel `gateway:control` (PROTOCOL.md §3). */
export class Control implements CursorSink {
  readonly ended = false
  readonly #deps: ControlDeps
  readonly #timer: NodeJS.Timeout
  #loaded = false
  #loading = false
  #loadAgain = false

  constructor(deps: ControlDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => deps.revocations.expire(Math.floor(Date.now() / 1_000)), expireEveryMs)
  }

  /** True when the revocations in force at the start have been applied. */
  get loaded(): boolean {
    return this.#loaded
  }

  deliver({ body }: Publication): void {
    const { log, store } = this.#deps
    const parsed = ControlMessage.safeParse(parseJson(body))
    if (!parsed.success) return log.warn({ reason: parsed.error.message }, 'control message is not valid')
    const message = parsed.data
    if (message.type === 'revoke') this.#revoke(message)
    else if (message.type === 'revocations') void this.load()
    else void store.reply(message.questionId, this.#deps.sessions.of(message.memberId).map(describe))
    return undefined
  }

  gap(): void {
    this.#deps.log.warn('control messages to the gateways were lost while Redis was away: reading the revocations')
    void this.load()
  }

  /** Applies all revocations in force, also those whose control message did not arrive. */
  async load(): Promise<void> {
    this.#loadAgain = true
    if (this.#loading) return
    this.#loading = true
    while (this.#loadAgain) {
      this.#loadAgain = false
      for (const revocation of await this.#deps.store.all()) this.#revoke(revocation)
    }
    this.#loading = false
    this.#loaded = true
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #revoke(revocation: Revocation): void {
    const { sessions, revocations, log } = this.#deps
    if (!revocations.add(revocation)) return
    const { memberId } = revocation
    const closed = sessions.revoke(memberId, ({ principal, credentials }) => revocations.refuses(principal, credentials.token))
    if (closed > 0) log.info({ memberId, closed }, 'sessions closed: their tokens were revoked')
  }
}

function describe({ id, connectedAt, clock, principal, credentials, userAgent }: Session): SessionsReply[number] {
  return {
    sessionId: id,
    connectedAt: new Date(connectedAt).toISOString(),
    lastActivityAt: new Date(clock.lastActivityAt).toISOString(),
    userAgent,
    tokenHash: tokenHashOf(credentials.token),
    expiresAt: principal.expiresAt,
  }
}
