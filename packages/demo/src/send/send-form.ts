import type { Messages } from '../preference/message.ts'
import type { Audience, NotificationContent } from './post-demo-send.ts'

export type AudienceKind = 'one' | 'many' | 'all'

/** The values of the form, as typed. */
export interface SendForm {
  readonly kind: AudienceKind
  readonly memberId: string
  readonly memberIds: string
  readonly message: string
  readonly redirectPath: string
}

export type SendFormErrors = Partial<Record<'recipient' | 'message' | 'redirectPath', string>>

const maxMembers = 1_000

/** Validates the form. notify-api validates the request again; checking here saves a round trip. */
export function parseSendForm(
  form: SendForm,
  words: Messages['send'],
): { audience: Audience; content: NotificationContent } | { errors: SendFormErrors } {
  const message = form.message.trim()
  const redirectPath = form.redirectPath.trim()
  const audience = audienceOf(form)
  const errors: SendFormErrors = {
    ...(!audience && { recipient: form.kind === 'one' ? words.invalidMember : words.invalidMembers }),
    ...(message === '' && { message: words.invalidMessage }),
    ...(!/^\/(?![/\\])[^\\\p{Cc}]*$/u.test(redirectPath) && { redirectPath: words.invalidPath }),
  }
  if (!audience || Object.keys(errors).length > 0) return { errors }
  return { audience, content: { message, redirectPath } }
}

function audienceOf({ kind, memberId, memberIds }: SendForm): Audience | undefined {
  if (kind === 'all') return { all: true }
  const numbers = (kind === 'one' ? [memberId] : memberIds.split(/[\s,]+/).filter(Boolean)).map(Number)
  const valid = numbers.length > 0 && numbers.length <= maxMembers && numbers.every((id) => Number.isSafeInteger(id) && id > 0)
  if (!valid) return undefined
  return kind === 'one' ? { memberId: numbers[0] ?? 0 } : { memberIds: [...new Set(numbers)] }
}
