import { type ReactNode, useSyncExternalStore } from 'react'
import { type Language, useMessages, usePreference } from '../preference/preference.ts'

const secondMs = 1_000
const steps: readonly (readonly [Intl.RelativeTimeFormatUnit, number, number])[] = [
  ['minute', 60 * secondMs, 60 * 60 * secondMs],
  ['hour', 3_600 * secondMs, 24 * 3_600 * secondMs],
  ['day', 24 * 3_600 * secondMs, 7 * 24 * 3_600 * secondMs],
]

/** How long ago, in the words of the language; the exact time on hover. */
export function RelativeTime({ at }: { readonly at: string }): ReactNode {
  const { inbox } = useMessages()
  const { language } = usePreference()
  const now = useSyncExternalStore(everyTenSeconds, currentTenSeconds)
  const time = new Date(at)
  const exact = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(time)
  return (
    <time dateTime={at} title={exact}>
      {describe(time, now, language, inbox.now)}
    </time>
  )
}

function describe(time: Date, now: number, language: Language, justNow: string): string {
  const age = now - time.getTime()
  if (age < 60 * secondMs) return justNow
  const step = steps.find(([, , limit]) => age < limit)
  if (!step) return new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric' }).format(time)
  const [unit, length] = step
  return new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' }).format(-Math.floor(age / length), unit)
}

const beatMs = 10 * secondMs

function everyTenSeconds(listener: () => void): () => void {
  const timer = setInterval(listener, beatMs)
  return () => clearInterval(timer)
}

function currentTenSeconds(): number {
  return Math.ceil(Date.now() / beatMs) * beatMs
}
