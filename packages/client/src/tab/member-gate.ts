import type { MemberId } from '@tidings/protocol'

/** Messages that are held. Beyond this, the oldest are dropped; the page reads the state anyway. */
const maxHeld = 1_000

export interface MemberGateOptions {
  /** To whom the cookie belongs, as the HTTP API has confirmed; undefined until it has. */
  readonly pageMember: () => MemberId | undefined
  /** To whom the connection belongs. */
  readonly connectionMember: () => MemberId | undefined
  /** Whether this tab opened the connection, with the cookie of the page. */
  readonly leading: () => boolean
}

/**
 * Passes what arrives on the connection if it belongs to the member of the page. After another member has signed in, the connection of
 * another tab may still be that of the previous one: a tab that follows holds messages until it knows.
 */
export class MemberGate {
  readonly #options: MemberGateOptions
  #held: (() => void)[] = []

  constructor(options: MemberGateOptions) {
    this.#options = options
  }

  pass(deliver: () => void): void {
    const { pageMember, leading } = this.#options
    if (this.#held.length === 0 && (pageMember() !== undefined || leading())) return this.#pass(deliver)
    this.#held.push(deliver)
    if (this.#held.length > maxHeld) this.#held.shift()
  }

  /** The member of the page is known now. */
  open(): void {
    const held = this.#held
    this.#held = []
    for (const deliver of held) this.#pass(deliver)
  }

  /** Discards what is held. */
  clear(): void {
    this.#held = []
  }

  #pass(deliver: () => void): void {
    const { pageMember, connectionMember } = this.#options
    const member = pageMember()
    if (member === undefined || member === connectionMember()) deliver()
  }
}
