import { createTidings } from '@tidings/client'
import { TidingsProvider } from '@tidings/client/react'
import { type ReactNode, useEffect, useState } from 'react'
import { endSession } from '../session/session.ts'
import { Desk } from './desk.tsx'
import { openPath } from './path.ts'

/** The member's page, and the one Tidings it holds. */
export function SignedIn({ memberId }: { readonly memberId: number }): ReactNode {
  const [tidings] = useState(() =>
    createTidings({
      scope: String(memberId),
      open: openPath,
      updateTitle: true,
      updateBadge: true,
      describe: ({ message }) => ({ title: 'Tidings', body: message, icon: '/mark.svg' }),
    }),
  )

  useEffect(() => {
    tidings.start()
    return () => void tidings.stop()
  }, [tidings])
  useEffect(
    () =>
      tidings.connection.subscribe(() => {
        if (tidings.connection.getSnapshot().status === 'unauthorized') endSession()
      }),
    [tidings],
  )

  return (
    <TidingsProvider tidings={tidings}>
      <Desk memberId={memberId} />
    </TidingsProvider>
  )
}
