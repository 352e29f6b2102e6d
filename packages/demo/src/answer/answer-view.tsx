import { useTask } from '@tidings/client/react'
import type { ReactNode } from 'react'
import { useMessages } from '../language/language.ts'
import { sourcesOf } from './source.ts'

const cancellable: ReadonlySet<string> = new Set(['queued', 'running'])

/** One answer: its progress, its sources and its text while it is being written. */
export function AnswerView({ taskId }: { readonly taskId: string }): ReactNode {
  const { answer } = useMessages()
  const { status, title, stage, percent = 0, text, data, error, cancel } = useTask(taskId)
  const active = cancellable.has(status)
  const sources = sourcesOf(data)
  return (
    <article className="answer" aria-busy={active}>
      <header>
        <h3>{title ?? ' '}</h3>
        {active && (
          <button type="button" onClick={() => void cancel()}>
            {answer.stop}
          </button>
        )}
      </header>
      <p className="muted small" role="status">
        {status === 'running' && stage !== undefined ? stage : answer.status[status]}
        {error !== undefined && `: ${error}`}
      </p>
      <progress max={100} value={percent} aria-label={answer.progress} />
      <div className="answer-body">
        {/* Focusable, so that it can be scrolled by keyboard. */}
        <section className="answer-text" tabIndex={0} aria-label={answer.text}>
          <p dir="auto">{text}</p>
        </section>
        <aside aria-label={answer.sources}>
          <h4>{answer.sources}</h4>
          <ol className="answer-sources small">
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
