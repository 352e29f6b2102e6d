import { controlChannel } from './channel.ts'
import { Revocation } from './message.ts'

/**
 * Returns the key of the hash with the revocations in force, from which a gateway reads those that it has not received (PROTOCOL.md §3).
 * `prefix` precedes every name in Redis.
 */
export function revocationKey(prefix = ''): string {
  return `{${prefix}${controlChannel}}:revocation`
}

/** Field of that hash, present when every revocation in force is in it. */
export const revocationsComplete = 'complete'

/** Returns field and value of a revocation in that hash: `<tokenHash>:<memberId>` and `<issuedBefore> <expiresAt>`. */
export function revocationEntry({ memberId, tokenHash, issuedBefore, expiresAt }: Revocation): [field: string, value: string] {
  return [`${tokenHash}:${memberId}`, `${issuedBefore} ${expiresAt}`]
}

/** Returns the revocation of such an entry, or undefined for another one. */
export function parseRevocationEntry(field: string, value: string): Revocation | undefined {
  const [tokenHash, memberId] = field.split(':')
  const [issuedBefore, expiresAt] = value.split(' ').map(Number)
  return Revocation.safeParse({ memberId, tokenHash, issuedBefore, expiresAt }).data
}

/** Returns the key of the list to which gateways append their replies to the question `questionId` (PROTOCOL.md §3). */
export function replyKey(questionId: string, prefix = ''): string {
  return `{${prefix}${controlChannel}}:reply:${questionId}`
}
