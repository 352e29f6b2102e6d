import { type BellTexts, en } from './text.ts'
import { ko } from './text-ko.ts'

/** How the bell speaks. A new object at each change, and each minute, so that relative times are shown again. */
export interface Locale {
  readonly texts: BellTexts
  /** BCP 47. */
  readonly language: string
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Returns the texts in Korean for `ko`, and otherwise in English. `texts` replace them. */
export function localeOf(language: string, texts: Partial<BellTexts>): Locale {
  return { language, texts: { ...(/^ko\b/i.test(language) ? ko : en), ...texts } }
}

/** Returns how long ago `time` was, or the date after a week. */
export function relativeTime(time: Date, { language, texts }: Locale): string {
  const ageMs = Date.now() - time.getTime()
  if (ageMs < minuteMs) return texts.now
  if (ageMs >= 7 * dayMs) return new Intl.DateTimeFormat(language, { dateStyle: 'medium' }).format(time)
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' })
  if (ageMs < hourMs) return format.format(-Math.floor(ageMs / minuteMs), 'minute')
  if (ageMs < dayMs) return format.format(-Math.floor(ageMs / hourMs), 'hour')
  return format.format(-Math.floor(ageMs / dayMs), 'day')
}

/** Returns the date, and the time to the minute. */
export function exactTime(time: Date, { language }: Locale): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'short' }).format(time)
}
