import { Cell, useCell } from '../cell.ts'
import { en, type Messages } from './message.ts'
import { ko } from './message-ko.ts'

const tables = { en, ko } as const satisfies Record<string, Messages>
export type Language = keyof typeof tables
export type Theme = 'system' | 'light' | 'dark'

interface Preference {
  readonly language: Language
  readonly theme: Theme
}

const preference = new Cell<Preference>({
  language: asLanguage(read('tidings.language')) ?? asLanguage(navigator.language.slice(0, 2)) ?? 'en',
  theme: asTheme(read('tidings.theme')),
})
apply(preference.get())

export function usePreference(): Preference {
  return useCell(preference)
}

/** The words of the page in the language of the person. */
export function useMessages(): Messages {
  return tables[usePreference().language]
}

export function prefer(change: Partial<Preference>): void {
  const preferred = { ...preference.get(), ...change }
  write('tidings.language', preferred.language)
  write('tidings.theme', preferred.theme)
  apply(preferred)
  preference.set(preferred)
}

function apply({ language, theme }: Preference): void {
  const { documentElement } = document
  documentElement.lang = language
  if (theme === 'system') delete documentElement.dataset['theme']
  else documentElement.dataset['theme'] = theme
}

function asLanguage(value: string | null): Language | undefined {
  return value !== null && value in tables ? (value as Language) : undefined
}

function asTheme(value: string | null): Theme {
  return value === 'light' || value === 'dark' ? value : 'system'
}

// Storage may be switched off: preferences then last as long as the page.
function read(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {}
}
