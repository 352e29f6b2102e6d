import type { ReactNode } from 'react'
import { chooseLanguage, type Language, useLanguage } from './language.ts'

const names = { en: 'English', ko: '한국어' } as const satisfies Record<Language, string>

/** Switches to the other language. */
export function LanguageButton(): ReactNode {
  const other = useLanguage() === 'en' ? 'ko' : 'en'
  return (
    <button type="button" className="plain" lang={other} onClick={() => chooseLanguage(other)}>
      {names[other]}
    </button>
  )
}
