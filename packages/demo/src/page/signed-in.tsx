import { createTidings } from '@tidings/client'
import { webPush } from '@tidings/client/push'
import { TidingsProvider } from '@tidings/client/react'
import type { MemberId } from '@tidings/protocol'
import { type ReactNode, useEffect, useState } from 'react'
import { endSession } from '../session/session.ts'
import { Dashboard } from './dashboard.tsx'
import { openPath } from './path.ts'

/** The page of a signed-in member. It starts the client SDK, and stops it when the member signs out. */
export function SignedIn({ memberId }: { readonly memberId: MemberId }): ReactNode {
  const [tidings] = useState(() =>
    createTidings({
      scope: String(memberId),
      open: openPath,
      push: webPush({ worker: '/tidings-worker.js?icon=/mark.svg' }),
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
      <Dashboard memberId={memberId} />
    </TidingsProvider>
  )
}
