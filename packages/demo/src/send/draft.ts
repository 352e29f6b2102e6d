import type { Messages } from '../preference/message.ts'
import type { Audience, Letter } from './post-demo-send.ts'

export type AudienceKind = 'one' | 'many' | 'all'

/** The form as it is typed. */
export interface Draft {
  readonly kind: AudienceKind
  readonly memberId: string
  readonly memberIds: string
  readonly message: string
  readonly redirectPath: string
}

export type DraftErrors = Partial<Record<'recipient' | 'message' | 'redirectPath', string>>

const mostMembers = 1_000

/** What is to be posted, or what is wrong with it. notify-api decides; this only spares the way there. */
export function parseDraft(
  draft: Draft,
  words: Messages['send'],
): { audience: Audience; letter: Letter } | { errors: DraftErrors } {
  const message = draft.message.trim()
  const redirectPath = draft.redirectPath.trim()
  const audience = audienceOf(draft)
  const errors: DraftErrors = {
    ...(!audience && { recipient: draft.kind === 'one' ? words.invalidMember : words.invalidMembers }),
    ...(message === '' && { message: words.invalidMessage }),
    ...(!/^\/(?![/\\])[^\\\p{Cc}]*$/u.test(redirectPath) && { redirectPath: words.invalidPath }),
  }
  if (!audience || Object.keys(errors).length > 0) return { errors }
  return { audience, letter: { message, redirectPath } }
}

function audienceOf({ kind, memberId, memberIds }: Draft): Audience | undefined {
  if (kind === 'all') return { all: true }
  const numbers = (kind === 'one' ? [memberId] : memberIds.split(/[\s,]+/).filter(Boolean)).map(Number)
  const valid = numbers.length > 0 && numbers.length <= mostMembers && numbers.every((id) => Number.isSafeInteger(id) && id > 0)
  if (!valid) return undefined
  return kind === 'one' ? { memberId: numbers[0] ?? 0 } : { memberIds: [...new Set(numbers)] }
}
