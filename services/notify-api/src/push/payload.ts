import { createHmac } from 'node:crypto'
import type { MemberId, PushMessage } from '@tidings/protocol'
import { maxPlaintextBytes } from './encryption.ts'

/** What a push message shows. */
export interface PushContent {
  readonly notificationId: number
  readonly memberId: MemberId
  readonly message: string
  readonly redirectPath?: string | undefined
  readonly kind?: string | undefined
  readonly data?: Readonly<Record<string, unknown>> | undefined
  readonly count: number
  readonly collapseKey?: string | undefined
}

/** The page that subscribed. */
export interface SubscribedPage {
  /** Absent for an app, which has none. */
  readonly origin?: string | undefined
  readonly lang?: string | undefined
}

/** Longest title: browsers show less. */
const maxTitleLength = 100
const ellipsis = '…'
const topicLength = 32
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/**
 * Returns the plaintext of a push message, which fits into one record. When it is too long, `data` is left out, then the text is cut at a
 * character, then the redirect path is left out.
 */
export function payloadOf(content: PushContent, page: SubscribedPage): Buffer {
  const { data: _, ...withoutData } = content
  const { redirectPath: __, ...withoutPath } = withoutData
  const { title, body } = titleAndBody(content.message)
  for (const candidate of [content, withoutData]) {
    const whole = encode(candidate, page, title, body)
    if (whole.length <= maxPlaintextBytes) return whole
  }
  for (const candidate of [withoutData, withoutPath]) {
    const fits = (text: string) => encode(candidate, page, title, text).length <= maxPlaintextBytes
    if (fits('')) return encode(candidate, page, title, longestThat(fits, body))
  }
  return encode(withoutPath, page, '', '')
}

/** Returns the tag of a shown notification: one with the same tag replaces it. */
export function tagOf({ notificationId, collapseKey }: Pick<PushContent, 'notificationId' | 'collapseKey'>): string {
  return collapseKey === undefined ? String(notificationId) : `key:${collapseKey}`
}

/**
 * Returns the `Topic` of a push message: at the push service it replaces one with the same topic that waits for the browser. It is made with
 * the secret of the subscription, so that the push service learns nothing of the key. Without a collapse key there is none: FCM keeps
 * messages of only four topics for a browser that is away.
 */
export function topicOf({ collapseKey }: Pick<PushContent, 'collapseKey'>, secret: Buffer): string | undefined {
  if (collapseKey === undefined) return undefined
  return createHmac('sha256', secret).update(collapseKey).digest('base64url').slice(0, topicLength)
}

function encode(content: PushContent, { origin, lang }: SubscribedPage, title: string, body: string): Buffer {
  const { notificationId, memberId, redirectPath, kind, data, count } = content
  const message: PushMessage = {
    web_push: 8030,
    notification: {
      title,
      ...(body !== '' && { body }),
      ...(lang !== undefined && { lang }),
      dir: 'auto',
      ...(origin !== undefined && { navigate: new URL(redirectPath ?? '/', origin).href }),
      tag: tagOf(content),
      data: {
        notificationId,
        memberId,
        ...(redirectPath !== undefined && { redirectPath }),
        ...(kind !== undefined && { kind }),
        ...(data && { data }),
        ...(count > 1 && { count }),
      },
    },
  }
  return Buffer.from(JSON.stringify(message))
}

/** Returns the first line of a message, and the rest. What does not fit into the title continues in the body. */
function titleAndBody(message: string): { title: string; body: string } {
  const text = message.trim()
  const line = text.split(/[\r\n]/, 1)[0] ?? ''
  if (line.length <= maxTitleLength) return { title: line, body: text.slice(line.length).trim() }
  const title = cut(line, maxTitleLength - ellipsis.length)
  return { title: title + ellipsis, body: text.slice(title.length).trim() }
}

/** Returns the longest beginning of a text that fits, with an ellipsis. */
function longestThat(fits: (text: string) => boolean, text: string): string {
  let [length, tooLong] = [0, text.length]
  while (tooLong - length > 1) {
    const middle = Math.floor((length + tooLong) / 2)
    if (fits(text.slice(0, middle) + ellipsis)) length = middle
    else tooLong = middle
  }
  return length === 0 ? '' : cut(text, length) + ellipsis
}

/** Returns at most `length` code units of a text, which end where a character ends, also one of several code points. */
function cut(text: string, length: number): string {
  return text.slice(0, graphemes.segment(text).containing(length)?.index ?? length)
}
