import { parseMemberId } from '@tidings/protocol/parse-member-id'
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
  const texts = kind === 'one' ? [memberId.trim()] : memberIds.split(/[\s,]+/).filter(Boolean)
  const ids = texts.map(parseMemberId).filter((id) => id !== undefined)
  const [first] = ids
  if (first === undefined || ids.length < texts.length || ids.length > maxMembers) return undefined
  return kind === 'one' ? { memberId: first } : { memberIds: [...new Set(ids)] }
}
