import { useTidings } from '@tidings/client/react'
import { type ReactNode, useState } from 'react'
import { useMessages } from '../language/language.ts'

/** Asks for permission to show browser notifications until the user has decided. Only a click may ask: browsers reject other requests. */
export function PermissionRow(): ReactNode {
  const { permission: words } = useMessages()
  const { requestPermission } = useTidings()
  const [permission, setPermission] = useState(() => ('Notification' in window ? Notification.permission : 'denied'))
  const ask = async () => setPermission(await requestPermission())
  if (permission !== 'default') return null
  return (
    <button type="button" className="plain small" onClick={() => void ask()}>
      {words.ask}
    </button>
  )
}
