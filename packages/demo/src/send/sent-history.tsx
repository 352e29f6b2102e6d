import type { ReactNode } from 'react'
import type { Messages } from '../preference/message.ts'
import { useMessages } from '../preference/preference.ts'
import type { SendResult, SentNotification } from './post-demo-send.ts'

interface Props {
  readonly results: readonly { readonly number: number; readonly result: SendResult }[]
}

/** The latest responses of notify-api, newest first. Its height is reserved, so that a response does not shift the layout. */
export function SentHistory({ results }: Props): ReactNode {
  const { send } = useMessages()
  return (
    <div className="sent-history">
      <h3 className="label">{send.history}</h3>
      <div role="log" aria-label={send.history}>
        {results.length === 0 && <p className="muted">{send.nothing}</p>}
        <ol>
          {results.map(({ number, result }) => (
            <li key={number}>{describe(result, send)}</li>
          ))}
        </ol>
      </div>
    </div>
  )
}

function describe(result: SendResult, words: Messages['send']): ReactNode {
  if (result.status === 'refused') return <span className="sent-failed">{words.failed(result.detail)}</span>
  if (result.status === 'no-response') return <span className="sent-failed">{words.failed(words.noAnswer)}</span>
  if (result.status === 'broadcast') return <ResultLine to={words.toEveryone} id={result.notificationId} state="online" word="" />
  const [first] = result.notifications
  if (!first) return null
  if (result.notifications.length === 1) {
    return <ResultLine to={words.toMember(first.memberId)} id={first.notificationId} {...stateOf(first, words)} />
  }
  const online = result.notifications.filter((each) => each.online).length
  return (
    <ResultLine
      to={result.notifications.map(({ memberId }) => memberId).join(', ')}
      id={first.notificationId}
      state={online > 0 ? 'online' : 'offline'}
      word={words.outOf(online, result.notifications.length)}
    />
  )
}

type State = 'online' | 'offline' | 'unknown'

function stateOf({ online }: SentNotification, words: Messages['send']): { state: State; word: string; hint: string } {
  const state: State = online === null ? 'unknown' : online ? 'online' : 'offline'
  return { state, word: words[state], hint: words[`${state}Hint`] }
}

interface ResultLineProps {
  readonly to: string
  readonly id: number
  readonly state: State
  readonly word: string
  readonly hint?: string
}

function ResultLine({ to, id, state, word, hint }: ResultLineProps): ReactNode {
  return (
    <>
      <span className="sent-to">{to}</span>
      <span className="muted number">#{id}</span>
      <span className="sent-state" data-state={state} title={hint}>
        {word}
      </span>
    </>
  )
}
