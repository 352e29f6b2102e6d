import { useTask } from '@tidings/client/react'
import { type ReactNode, useState } from 'react'
import { useMessages } from '../preference/preference.ts'
import { AnswerText } from './answer-text.tsx'
import { sourcesOf } from './source.ts'

const stoppable: ReadonlySet<string> = new Set(['queued', 'running'])

/** One answer: how far it is, what it is based on, and the text as it comes. */
export function AnswerView({ taskId }: { readonly taskId: string }): ReactNode {
  const { answer } = useMessages()
  const { status, title, stage, percent = 0, text, data, error, cancel } = useTask(taskId)
  const [stopping, setStopping] = useState(false)
  const going = stoppable.has(status)
  const sources = sourcesOf(data)
  const stop = async () => {
    setStopping(true)
    if (!(await cancel())) setStopping(false)
  }
  return (
    <article className="answer" aria-busy={going} data-status={status}>
      <header className="answer-header">
        <h3>{title ?? ' '}</h3>
        {going && (
          <button type="button" className="button small" aria-disabled={stopping} onClick={() => void (stopping || stop())}>
            {stopping ? answer.stopping : answer.stop}
          </button>
        )}
      </header>
      <p className="answer-state" role="status">
        {status === 'running' && stage !== undefined ? stage : answer.status[status]}
        {error !== undefined && `: ${error}`}
      </p>
      <progress max={100} value={going ? percent : 100} aria-label={answer.progress} />
      <div className="answer-body">
        <AnswerText text={text} writing={going && text !== ''} />
        <aside aria-label={answer.sources}>
          <h4 className="label">{answer.sources}</h4>
          <ol className="answer-sources">
            {sources.map((source) => (
              <li key={source.url}>
                <a href={source.url} target="_blank" rel="noreferrer">
                  {source.title}
                </a>
              </li>
            ))}
          </ol>
        </aside>
      </div>
    </article>
  )
}
