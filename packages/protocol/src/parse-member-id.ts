/** Matches every member id as text, integers included. */
export const memberIdPattern = /^[A-Za-z0-9_.|@+=~-]{1,64}$/
const integer = /^[1-9]\d{0,15}$/

/**
 * Returns the canonical form of a member id (PROTOCOL.md §1), or undefined for any other value. A text that reads as an integer up to
 * 2^53 - 1 is that integer, so that equal ids are equal values. A template literal is the inverse.
 */
export function parseMemberId(value: unknown): number | string | undefined {
  if (typeof value === 'number') return isMemberNumber(value) ? value : undefined
  if (typeof value !== 'string' || !memberIdPattern.test(value)) return undefined
  const number = integer.test(value) ? Number(value) : Number.NaN
  return isMemberNumber(number) ? number : value
}

function isMemberNumber(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0
}
