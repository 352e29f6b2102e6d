import { useTasks } from '@tidings/client/react'
import { type FormEvent, type ReactNode, useState } from 'react'
import { TextField } from '../control/text-field.tsx'
import { useMessages } from '../preference/preference.ts'
import './answer-card.css'
import { AnswerView } from './answer-view.tsx'
import { answerKind, postDemoAsk } from './post-demo-ask.ts'

const maxQuestionLength = 200

/** Asks a question and shows the member's newest answer, also when it was asked before a reload or on another device. */
export function AnswerCard(): ReactNode {
  const { answer } = useMessages()
  const { items } = useTasks()
  const [question, setQuestion] = useState(answer.sample)
  const [askedId, setAskedId] = useState<string>()
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  const newest = items.find(({ kind }) => kind === answerKind)
  // The task just created may not be in the list yet. Once it is, the newest one is shown.
  const taskId = items.some((each) => each.taskId === askedId) ? newest?.taskId : (askedId ?? newest?.taskId)

  const ask = async (event: FormEvent) => {
    event.preventDefault()
    if (busy) return
    if (question.trim() === '') return setError(answer.invalid)
    setBusy(true)
    const createdId = await postDemoAsk(question.trim())
    setError(createdId === undefined ? answer.failed : undefined)
    if (createdId !== undefined) setAskedId(createdId)
    setBusy(false)
  }

  return (
    <section className="card answer-card" aria-labelledby="answer-title">
      <h2 id="answer-title">{answer.title}</h2>
      <p className="muted">{answer.lead}</p>
      <form className="answer-form" onSubmit={(event) => void ask(event)} noValidate>
        <TextField label={answer.question} value={question} maxLength={maxQuestionLength} error={error} onChange={setQuestion} />
        <button type="submit" className="button strong" aria-disabled={busy}>
          {answer.submit}
        </button>
      </form>
      {taskId === undefined ? (
        <p className="answer-blank muted">{answer.nothing}</p>
      ) : (
        <AnswerView key={taskId} taskId={taskId} />
      )}
    </section>
  )
}
