import { createHash } from 'node:crypto'
import type { Revocation } from '@tidings/protocol'

/** To whom a token was issued, and when, in Unix seconds. */
interface IssuedTo {
  readonly memberId: Revocation['memberId']
  readonly issuedAt: number
}

/** What is revoked of one member. */
interface OfMember {
  issuedBefore: number
  expiresAt: number
  /** Expiry by hash of the token, in Unix seconds. */
  readonly tokens: Map<string, number>
}

/** How often expired revocations are looked for at most, in seconds. */
const expireEverySeconds = 60
/** Bytes of SHA-256 that identify a token. */
const hashBytes = 16

/** The revocations in force, in memory: every request of a member is checked against them. */
export class Revocations {
  readonly #members = new Map<Revocation['memberId'], OfMember>()
  /** Unix seconds of the last search for expired revocations. */
  #expiredAt = 0

  /** Number of members with a revocation. */
  get size(): number {
    return this.#members.size
  }

  /** Adds a revocation. Returns false when it is covered already. */
  add({ memberId, tokenHash, issuedBefore, expiresAt }: Revocation): boolean {
    const member = this.#members.get(memberId) ?? { issuedBefore: 0, expiresAt: 0, tokens: new Map<string, number>() }
    if (tokenHash === '' ? issuedBefore <= member.issuedBefore : member.tokens.has(tokenHash)) return false
    this.#members.set(memberId, member)
    if (tokenHash !== '') member.tokens.set(tokenHash, expiresAt)
    else {
      member.issuedBefore = issuedBefore
      member.expiresAt = expiresAt
    }
    return true
  }

  /** Returns whether the token of a verified member is revoked. */
  refuses({ memberId, issuedAt }: IssuedTo, token: string): boolean {
    const member = this.#members.get(memberId)
    if (!member) return false
    return issuedAt < member.issuedBefore || (member.tokens.size > 0 && member.tokens.has(tokenHashOf(token)))
  }

  /** Returns every revocation in force. */
  *all(): Generator<Revocation> {
    for (const [memberId, { issuedBefore, expiresAt, tokens }] of this.#members) {
      if (issuedBefore > 0) yield { memberId, tokenHash: '', issuedBefore, expiresAt }
      for (const [tokenHash, tokenExpiresAt] of tokens) yield { memberId, tokenHash, issuedBefore: 0, expiresAt: tokenExpiresAt }
    }
  }

  /** Drops what has expired at `now`, in Unix seconds, and returns it. Looks for it once a minute at most. */
  expire(now: number): Revocation[] {
    if (now < this.#expiredAt + expireEverySeconds) return []
    this.#expiredAt = now
    const expired = [...this.all()].filter(({ expiresAt }) => expiresAt <= now)
    for (const { memberId, tokenHash } of expired) {
      const member = this.#members.get(memberId)
      if (!member) continue
      if (tokenHash === '') member.issuedBefore = 0
      else member.tokens.delete(tokenHash)
      if (member.issuedBefore === 0 && member.tokens.size === 0) this.#members.delete(memberId)
    }
    return expired
  }
}

/**
 * Returns the hash that identifies a token in a {@link Revocation}. The signature is left out: its last character has bits that no
 * verifier reads, so that one token has several spellings.
 */
export function tokenHashOf(token: string): string {
  const signed = token.slice(0, token.lastIndexOf('.'))
  return createHash('sha256').update(signed).digest().subarray(0, hashBytes).toString('base64url')
}
