import type { MemberId } from '@tidings/protocol'
import type { ReactNode } from 'react'
import { useMessages } from '../language/language.ts'
import type { PostResult } from '../post.ts'

/** What notify-api returns for one notification. */
export interface Sent {
  readonly notificationId: number
  /** Missing for a broadcast. */
  readonly memberId?: MemberId
  /** Whether a gateway holds a connection of the member. Null when this is unknown. */
  readonly online?: boolean | null
}

export type SentResult = PostResult<Sent | { readonly notifications: readonly Sent[] }>

/** A response of notify-api, in one line. */
export function SentLine({ result }: { readonly result: SentResult }): ReactNode {
  const { send } = useMessages()
  if ('refusal' in result) return <li className="alarm">{send.failed(result.refusal ?? send.noResponse)}</li>
  const sent = 'notifications' in result.body ? result.body.notifications : [result.body]
  const [first] = sent
  const online = sent.filter((each) => each.online).length
  const stateOfFirst = first?.online === null ? send.unknown : first?.online ? send.online : send.offline
  return (
    <li>
      <span>{first?.memberId === undefined ? send.toEveryone : sent.map(({ memberId }) => memberId).join(', ')}</span>
      <span className="muted">#{first?.notificationId}</span>
      <b>{sent.length > 1 ? send.outOf(online, sent.length) : first?.memberId !== undefined && stateOfFirst}</b>
    </li>
  )
}
