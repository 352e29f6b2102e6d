import { type ReactNode, useSyncExternalStore } from 'react'
import { type Language, useMessages, usePreference } from '../preference/preference.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs
const refreshMs = 10 * secondMs

const steps: readonly { readonly unit: Intl.RelativeTimeFormatUnit; readonly unitMs: number; readonly limitMs: number }[] = [
  { unit: 'minute', unitMs: minuteMs, limitMs: hourMs },
  { unit: 'hour', unitMs: hourMs, limitMs: dayMs },
  { unit: 'day', unitMs: dayMs, limitMs: 7 * dayMs },
]

/** How long ago `at` was, in the chosen language. The exact time is shown on hover. */
export function RelativeTime({ at }: { readonly at: string }): ReactNode {
  const { inbox } = useMessages()
  const { language } = usePreference()
  const now = useSyncExternalStore(subscribeToTicks, currentTick)
  const time = new Date(at)
  const exact = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(time)
  return (
    <time dateTime={at} title={exact}>
      {describe(time, now, language, inbox.now)}
    </time>
  )
}

function describe(time: Date, now: number, language: Language, justNow: string): string {
  const ageMs = now - time.getTime()
  if (ageMs < minuteMs) return justNow
  const step = steps.find(({ limitMs }) => ageMs < limitMs)
  if (!step) return new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric' }).format(time)
  return new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' }).format(
    -Math.floor(ageMs / step.unitMs),
    step.unit,
  )
}

function subscribeToTicks(listener: () => void): () => void {
  const timer = setInterval(listener, refreshMs)
  return () => clearInterval(timer)
}

function currentTick(): number {
  return Math.ceil(Date.now() / refreshMs) * refreshMs
}
