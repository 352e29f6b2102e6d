import type { ReactNode } from 'react'
import type { Messages } from '../preference/message.ts'
import { useMessages } from '../preference/preference.ts'
import type { Answer, Sent } from './post-demo-send.ts'

interface Properties {
  readonly answers: readonly { readonly number: number; readonly answer: Answer }[]
}

/** What notify-api answered, newest first. Its height is reserved. */
export function SentHistory({ answers }: Properties): ReactNode {
  const { send } = useMessages()
  return (
    <div className="sent-history">
      <h3 className="label">{send.history}</h3>
      <div role="log" aria-label={send.history}>
        {answers.length === 0 && <p className="quiet">{send.nothing}</p>}
        <ol>
          {answers.map(({ number, answer }) => (
            <li key={number}>{describe(answer, send)}</li>
          ))}
        </ol>
      </div>
    </div>
  )
}

function describe(answer: Answer, words: Messages['send']): ReactNode {
  if (answer.status === 'refused') return <span className="sent-failed">{words.failed(answer.detail)}</span>
  if (answer.status === 'no answer') return <span className="sent-failed">{words.failed(words.noAnswer)}</span>
  if (answer.status === 'broadcast') return <Line to={words.toEveryone} id={answer.notificationId} state="online" word="" />
  const [first] = answer.notifications
  if (!first) return null
  if (answer.notifications.length === 1) {
    return <Line to={words.toMember(first.memberId)} id={first.notificationId} {...stateOf(first, words)} />
  }
  const online = answer.notifications.filter((each) => each.online).length
  return (
    <Line
      to={answer.notifications.map(({ memberId }) => memberId).join(', ')}
      id={first.notificationId}
      state={online > 0 ? 'online' : 'offline'}
      word={words.outOf(online, answer.notifications.length)}
    />
  )
}

type State = 'online' | 'offline' | 'unknown'

function stateOf({ online }: Sent, words: Messages['send']): { state: State; word: string; hint: string } {
  const state: State = online === null ? 'unknown' : online ? 'online' : 'offline'
  return { state, word: words[state], hint: words[`${state}Hint`] }
}

interface LineProperties {
  readonly to: string
  readonly id: number
  readonly state: State
  readonly word: string
  readonly hint?: string
}

function Line({ to, id, state, word, hint }: LineProperties): ReactNode {
  return (
    <>
      <span className="sent-to">{to}</span>
      <span className="quiet number">#{id}</span>
      <span className="sent-state" data-state={state} title={hint}>
        {word}
      </span>
    </>
  )
}
