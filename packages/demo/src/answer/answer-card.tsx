import { useTasks } from '@tidings/client/react'
import { type ReactNode, useState } from 'react'
import { Form } from '../control/form.tsx'
import { TextField } from '../control/text-field.tsx'
import { useMessages } from '../language/language.ts'
import { post } from '../post.ts'
import './answer-card.css'
import { AnswerView } from './answer-view.tsx'

/** The `kind` of the tasks that answer questions. */
const answerKind = 'answer'
const maxQuestionLength = 200

/** Asks a question and shows the member's newest answer, also when it was asked before a reload or on another device. */
export function AnswerCard(): ReactNode {
  const { answer } = useMessages()
  const { items } = useTasks()
  const [askedId, setAskedId] = useState<string>()
  const [failed, setFailed] = useState(false)
  const newest = items.find(({ kind }) => kind === answerKind)
  // The task just created may not be in the list yet. Once it is, the newest one is shown.
  const taskId = items.some((each) => each.taskId === askedId) ? newest?.taskId : (askedId ?? newest?.taskId)

  const ask = async (read: (name: string) => string) => {
    const result = await post<{ taskId: string }>('/demo/ask', { question: read('question') })
    setFailed(!('body' in result))
    if ('body' in result) setAskedId(result.body.taskId)
  }

  return (
    <section className="card answer-card" aria-labelledby="answer-title">
      <h2 id="answer-title">{answer.title}</h2>
      <p className="muted">{answer.lead}</p>
      <Form onSubmit={ask}>
        <TextField
          key={answer.sample}
          label={answer.question}
          name="question"
          defaultValue={answer.sample}
          maxLength={maxQuestionLength}
          error={failed ? answer.failed : undefined}
        />
        <button type="submit" className="strong">
          {answer.submit}
        </button>
      </Form>
      {taskId !== undefined && <AnswerView key={taskId} taskId={taskId} />}
    </section>
  )
}
