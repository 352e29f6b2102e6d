import { controlChannel } from './channel.ts'
import { Revocation } from './message.ts'

/** Key of the hash with the revocations in force, from which a gateway reads those that it has not received (PROTOCOL.md §3). */
export const revocationKey = `{${controlChannel}}:revocation`

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
export function replyKey(questionId: string): string {
  return `{${controlChannel}}:reply:${questionId}`
}
