import type { ReactNode } from 'react'
import { Segment } from '../control/segment.tsx'
import { type Language, setPreference, type Theme, useMessages, usePreference } from '../preference/preference.ts'

const languages: readonly { value: Language; label: string; lang: string }[] = [
  { value: 'en', label: 'English', lang: 'en' },
  { value: 'ko', label: '한국어', lang: 'ko' },
]
const themes: readonly Theme[] = ['system', 'light', 'dark']

export function PreferenceControls(): ReactNode {
  const { preference } = useMessages()
  const { language, theme } = usePreference()
  return (
    <>
      <Segment
        legend={preference.language}
        value={language}
        options={languages}
        onChange={(value) => setPreference({ language: value })}
      />
      <Segment
        legend={preference.theme}
        value={theme}
        options={themes.map((value) => ({ value, label: preference[value] }))}
        onChange={(value) => setPreference({ theme: value })}
      />
    </>
  )
}
