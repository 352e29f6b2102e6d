import { useTasks } from '@tidings/client/react'
import { type FormEvent, type ReactNode, useState } from 'react'
import { Field } from '../control/field.tsx'
import { useMessages } from '../preference/preference.ts'
import './answer-card.css'
import { AnswerView } from './answer-view.tsx'
import { answerKind, postDemoAsk } from './post-demo-ask.ts'

/** A question, and the answer as it is written: the newest one, also if it was asked before a reload or on another device. */
export function AnswerCard(): ReactNode {
  const { answer } = useMessages()
  const { items } = useTasks()
  const [question, setQuestion] = useState(answer.sample)
  const [askedId, setAskedId] = useState<string>()
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  // The list may not have it yet.
  const newest = items.find(({ kind }) => kind === answerKind)
  const taskId = items.some((each) => each.taskId === askedId) ? newest?.taskId : (askedId ?? newest?.taskId)

  const ask = async (event: FormEvent) => {
    event.preventDefault()
    if (busy) return
    if (question.trim() === '') return setError(answer.invalid)
    setBusy(true)
    const asked = await postDemoAsk(question.trim())
    setError(asked === undefined ? answer.failed : undefined)
    if (asked !== undefined) setAskedId(asked)
    setBusy(false)
  }

  return (
    <section className="card answer-card" aria-labelledby="answer-title">
      <h2 id="answer-title">{answer.title}</h2>
      <p className="quiet">{answer.lead}</p>
      <form className="answer-form" onSubmit={(event) => void ask(event)} noValidate>
        <Field label={answer.question} value={question} maxLength={200} error={error} onChange={setQuestion} />
        <button type="submit" className="button strong" aria-disabled={busy}>
          {answer.submit}
        </button>
      </form>
      {taskId === undefined ? (
        <p className="answer-blank quiet">{answer.nothing}</p>
      ) : (
        <AnswerView key={taskId} taskId={taskId} />
      )}
    </section>
  )
}
