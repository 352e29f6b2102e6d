import { Store, useStore } from '../store.ts'
import { en, type Messages } from './message.ts'
import { ko } from './message-ko.ts'

const messages = { en, ko } as const satisfies Record<string, Messages>
export type Language = keyof typeof messages
const storageKey = 'tidings.language'

const language = new Store<Language>(asLanguage(read()) ?? asLanguage(navigator.language.slice(0, 2)) ?? 'en')
document.documentElement.lang = language.get()

export function useLanguage(): Language {
  return useStore(language)
}

/** Returns the texts of the page in the chosen language. */
export function useMessages(): Messages {
  return messages[useLanguage()]
}

export function chooseLanguage(chosen: Language): void {
  document.documentElement.lang = chosen
  language.set(chosen)
  try {
    localStorage.setItem(storageKey, chosen)
  } catch {
    // Storage is disabled: the choice is lost when the page is closed.
  }
}

function asLanguage(value: string | null): Language | undefined {
  return value !== null && value in messages ? (value as Language) : undefined
}

function read(): string | null {
  try {
    return localStorage.getItem(storageKey)
  } catch {
    return null
  }
}
