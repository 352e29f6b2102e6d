import { useConnection } from '@tidings/client/react'
import type { ReactNode } from 'react'
import { useMessages } from '../language/language.ts'
import './connection-pill.css'

/** The state of the connection in one word. The bell says more. */
export function ConnectionPill(): ReactNode {
  const { connection } = useMessages()
  const { status } = useConnection()
  return (
    <p className="connection-pill small" data-status={status} role="status">
      <i />
      {connection[status]}
    </p>
  )
}
