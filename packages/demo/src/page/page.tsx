import { type ReactNode, useEffect } from 'react'
import { useMessages } from '../preference/preference.ts'
import { openSession, useSession } from '../session/session.ts'
import { SignIn } from '../session/sign-in.tsx'
import { SignedIn } from './signed-in.tsx'

export function Page(): ReactNode {
  const { session: words, tryAgain } = useMessages()
  const session = useSession()
  useEffect(() => void openSession(), [])

  if (session.status === 'signed-in') return <SignedIn key={session.memberId} memberId={session.memberId} />
  if (session.status === 'signed-out') return <SignIn ended={session.ended} />
  return (
    <main className="page-status">
      {session.status === 'unreachable' && (
        <div role="alert">
          <h1>{words.unreachable}</h1>
          <button type="button" className="button" onClick={() => void openSession()}>
            {tryAgain}
          </button>
        </div>
      )}
      {session.status === 'opening' && <p className="visually-hidden">{words.opening}</p>}
    </main>
  )
}
