import { z } from 'zod'
import { memberIdPattern, parseMemberId } from './parse-member-id.ts'

const rule = 'must be a positive integer up to 2^53 - 1, or a text of 1 to 64 characters A-Z a-z 0-9 _ . | @ + = ~ -'

/** Id of a member (PROTOCOL.md §1). A text that reads as an integer is parsed to that integer. */
export const MemberId = z
  .union([z.int(rule).positive(rule), z.string(rule).regex(memberIdPattern, rule)], {
    error: ({ input }) => (input === undefined ? 'is required' : rule),
  })
  .overwrite((id) => parseMemberId(id) ?? id)
  .meta({ description: `A member: ${rule.slice('must be '.length)}. A text that reads as such an integer is the integer.` })
export type MemberId = z.infer<typeof MemberId>
