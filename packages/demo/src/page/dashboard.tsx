import { useTidings } from '@tidings/client/react'
import type { MemberId } from '@tidings/protocol'
import { type ReactNode, useCallback, useRef, useState } from 'react'
import { AnswerCard } from '../answer/answer-card.tsx'
import { BreakCard } from '../break/break-card.tsx'
import { ConnectionPill } from '../connection/connection-pill.tsx'
import { LanguageButton } from '../language/language-button.tsx'
import { useMessages } from '../language/language.ts'
import { SendCard } from '../send/send-card.tsx'
import { signOut } from '../session/session.ts'
import { ToastStack } from '../toast/toast-stack.tsx'
import { Bell } from './bell.tsx'
import './dashboard.css'
import { OpenedPath } from './opened-path.tsx'
import { openPath } from './path.ts'

export function Dashboard({ memberId }: { readonly memberId: MemberId }): ReactNode {
  const { page, session, skip } = useMessages()
  const tidings = useTidings()
  const [inboxOpen, setInboxOpen] = useState(false)
  const main = useRef<HTMLElement>(null)
  const open = useCallback((path: string) => {
    openPath(path)
    scrollTo({ top: 0 })
    main.current?.focus({ preventScroll: true })
  }, [])

  return (
    <>
      <header className="header">
        <a className="skip" href="#content">
          {skip}
        </a>
        <a href="/" aria-label="Tidings">
          <img src="/mark.svg" width={26} height={26} alt="" />
          <span className="wide">Tidings</span>
        </a>
        <span className="wide muted">{session.member(memberId)}</span>
        <ConnectionPill />
        <Bell onToggle={setInboxOpen} onOpenPath={open} />
        <LanguageButton />
        <button type="button" className="plain" onClick={() => void tidings.signOut().then(signOut)}>
          {session.signOut}
        </button>
      </header>
      <main id="content" ref={main} tabIndex={-1}>
        <OpenedPath />
        <h1>{page.title}</h1>
        <p className="muted">{page.lead}</p>
        <div className="cards">
          <SendCard memberId={memberId} />
          <BreakCard memberId={memberId} />
          <AnswerCard />
        </div>
      </main>
      <ToastStack hidden={inboxOpen} onOpenPath={open} />
    </>
  )
}
