import { useConnection, useTidings } from '@tidings/client/react'
import { type ReactNode, useId } from 'react'
import { useMessages } from '../preference/preference.ts'
import './connection-pill.css'
import { useSecondsUntil } from './seconds-until.ts'

/** The state of the connection in one word. Pressing it opens an explanation. */
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
        <span className="visually-hidden">{connection.label}: </span>
        <span>{connection[status]}</span>
        {/* Hidden from screen readers, which would announce every second. */}
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
        {status === 'connected' && <p className="muted">{leader ? connection.leading : connection.following}</p>}
      </div>
      <p className="visually-hidden" role="status">
        {status === 'connecting' ? '' : connection.detail[status]}
      </p>
    </>
  )
}
