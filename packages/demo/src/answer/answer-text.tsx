import { type ReactNode, useLayoutEffect, useRef } from 'react'
import { useMessages } from '../preference/preference.ts'

const nearEndPixels = 48

/** Its height is reserved. It follows the text as long as the person does, and stays where they scrolled to otherwise. */
export function AnswerText({ text, writing }: { readonly text: string; readonly writing: boolean }): ReactNode {
  const { answer } = useMessages()
  const box = useRef<HTMLElement>(null)
  const following = useRef(true)

  useLayoutEffect(() => {
    if (following.current && text !== '') box.current?.scrollTo({ top: box.current.scrollHeight })
  }, [text])

  const scrolled = () => {
    const { scrollTop = 0, scrollHeight = 0, clientHeight = 0 } = box.current ?? {}
    following.current = scrollHeight - clientHeight - scrollTop < nearEndPixels
  }
  return (
    // Reachable by keyboard, so that it can be scrolled.
    <section
      className="answer-text"
      ref={box}
      onScroll={scrolled}
      tabIndex={0}
      aria-label={answer.text}
      data-writing={writing || undefined}
    >
      {text}
    </section>
  )
}
