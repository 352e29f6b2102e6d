import { type ReactNode, useEffect } from 'react'
import { useMessages } from '../language/language.ts'
import { openSession, useSession } from '../session/session.ts'
import { SignIn } from '../session/sign-in.tsx'
import { SignedIn } from './signed-in.tsx'

export function Page(): ReactNode {
  const { session: words, tryAgain } = useMessages()
  const session = useSession()
  useEffect(() => void openSession(), [])

  if (session.status === 'signed-in') return <SignedIn key={session.memberId} memberId={session.memberId} />
  if (session.status === 'signed-out') return <SignIn ended={session.ended} />
  if (session.status === 'opening') return <p className="visually-hidden">{words.opening}</p>
  return (
    <main id="content" role="alert">
      <h1>{words.unreachable}</h1>
      <button type="button" onClick={() => void openSession()}>
        {tryAgain}
      </button>
    </main>
  )
}
