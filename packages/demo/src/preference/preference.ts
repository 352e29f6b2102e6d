import { Store, useStore } from '../store.ts'
import { en, type Messages } from './message.ts'
import { ko } from './message-ko.ts'

const messages = { en, ko } as const satisfies Record<string, Messages>
export type Language = keyof typeof messages
export type Theme = 'system' | 'light' | 'dark'

interface Preference {
  readonly language: Language
  readonly theme: Theme
}

const preference = new Store<Preference>({
  language: asLanguage(read('tidings.language')) ?? asLanguage(navigator.language.slice(0, 2)) ?? 'en',
  theme: asTheme(read('tidings.theme')),
})
apply(preference.get())

export function usePreference(): Preference {
  return useStore(preference)
}

/** Returns the texts of the page in the chosen language. */
export function useMessages(): Messages {
  return messages[usePreference().language]
}

export function setPreference(change: Partial<Preference>): void {
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
  return value !== null && value in messages ? (value as Language) : undefined
}

function asTheme(value: string | null): Theme {
  return value === 'light' || value === 'dark' ? value : 'system'
}

// Storage may be disabled. Preferences are then lost when the page is closed.
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
