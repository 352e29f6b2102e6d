import { useConnection, useTidings } from '@tidings/client/react'
import { type ReactNode, useId } from 'react'
import { useMessages } from '../preference/preference.ts'
import './connection-pill.css'
import { useSecondsUntil } from './seconds-until.ts'

/** How it stands with the connection, in a word; a press tells what that means. */
export function ConnectionPill(): ReactNode {
  const { connection } = useMessages()
  const { start } = useTidings()
  const { status, retryAt, leader } = useConnection()
  const seconds = useSecondsUntil(status === 'reconnecting' || status === 'offline' ? retryAt : undefined)
  const id = useId()
  return (
    <>
      <button type="button" className="connection-pill" data-status={status} popoverTarget={id}>
        <span className="connection-dot" />
        <span className="unseen">{connection.label}: </span>
        <span className="connection-word">{connection[status]}</span>
        {/* Not for the screen reader: it would hear every second. */}
        <span className="connection-retry number" aria-hidden="true">
          {seconds === undefined ? '' : connection.retryIn(seconds)}
        </span>
      </button>
      <div className="connection-detail floating" id={id} popover="auto">
        <p>{connection.detail[status]}</p>
        {status === 'stopped' && (
          <button type="button" className="button small" onClick={start}>
            {connection.reconnect}
          </button>
        )}
        {status === 'connected' && <p className="quiet">{leader ? connection.leading : connection.following}</p>}
      </div>
      <p className="unseen" role="status">
        {status === 'connecting' ? '' : connection.detail[status]}
      </p>
    </>
  )
}
