import { type ReactNode, useLayoutEffect, useRef } from 'react'
import { useMessages } from '../preference/preference.ts'

const nearEndPixels = 48

/** The streamed text, in a box of fixed height. It stays scrolled to the end unless the person has scrolled up. */
export function AnswerText({ text, writing }: { readonly text: string; readonly writing: boolean }): ReactNode {
  const { answer } = useMessages()
  const box = useRef<HTMLElement>(null)
  const followsEnd = useRef(true)

  useLayoutEffect(() => {
    if (followsEnd.current && text !== '') box.current?.scrollTo({ top: box.current.scrollHeight })
  }, [text])

  const updateFollowsEnd = () => {
    const { scrollTop = 0, scrollHeight = 0, clientHeight = 0 } = box.current ?? {}
    followsEnd.current = scrollHeight - clientHeight - scrollTop < nearEndPixels
  }
  return (
    // Focusable, so that it can be scrolled by keyboard.
    <section
      className="answer-text"
      ref={box}
      onScroll={updateFollowsEnd}
      tabIndex={0}
      aria-label={answer.text}
      data-writing={writing || undefined}
    >
      {text}
    </section>
  )
}
