import { useTidings } from '@tidings/client/react'
import { type ReactNode, useState } from 'react'
import { useMessages } from '../preference/preference.ts'
import './permission-row.css'

/** Asks for permission to show browser notifications. Only a click may ask: browsers reject other requests. */
export function PermissionRow(): ReactNode {
  const { permission: words } = useMessages()
  const { requestPermission } = useTidings()
  const [permission, setPermission] = useState(currentPermission)
  const ask = async () => setPermission(await requestPermission())
  return (
    <section className="permission-row" aria-label={words.title}>
      <div>
        <h3>{words.title}</h3>
        <p className="muted" role="status">
          {words[permission]}
        </p>
      </div>
      {permission === 'default' && (
        <button type="button" className="button small" onClick={() => void ask()}>
          {words.ask}
        </button>
      )}
    </section>
  )
}

function currentPermission(): NotificationPermission | 'unsupported' {
  return 'Notification' in window ? Notification.permission : 'unsupported'
}
