import type { MemberId } from '@tidings/protocol'
import { type ReactNode, useCallback, useRef, useState } from 'react'
import { AnswerCard } from '../answer/answer-card.tsx'
import { BreakCard } from '../break/break-card.tsx'
import { ConnectionPill } from '../connection/connection-pill.tsx'
import { Logo } from '../control/icon.tsx'
import { Bell } from '../inbox/bell.tsx'
import { InboxPanel } from '../inbox/inbox-panel.tsx'
import { useMessages } from '../preference/preference.ts'
import { SendCard } from '../send/send-card.tsx'
import { AccountMenu } from '../session/account-menu.tsx'
import { ToastStack } from '../toast/toast-stack.tsx'
import './dashboard.css'
import { OpenedPath } from './opened-path.tsx'
import { openPath } from './path.ts'

export function Dashboard({ memberId }: { readonly memberId: MemberId }): ReactNode {
  const { page, skip } = useMessages()
  const [inboxOpen, setInboxOpen] = useState(false)
  const main = useRef<HTMLElement>(null)
  const open = useCallback((path: string) => {
    openPath(path)
    setInboxOpen(false)
    scrollTo({ top: 0 })
    main.current?.focus({ preventScroll: true })
  }, [])

  return (
    <>
      <a className="skip" href="#content">
        {skip}
      </a>
      <header className="header">
        <div className="header-inner">
          <a className="header-name" href="/" aria-label="Tidings">
            <Logo />
            <span>Tidings</span>
          </a>
          <ConnectionPill />
          <Bell open={inboxOpen} onPress={() => setInboxOpen(!inboxOpen)} />
          <AccountMenu memberId={memberId} />
        </div>
        {inboxOpen && <InboxPanel onClose={() => setInboxOpen(false)} onOpenPath={open} />}
      </header>
      <main className="dashboard" id="content" ref={main} tabIndex={-1}>
        <OpenedPath />
        <h1>{page.title}</h1>
        <p className="dashboard-lead muted">{page.lead}</p>
        <div className="dashboard-cards">
          <AnswerCard />
          <SendCard memberId={memberId} />
          <BreakCard memberId={memberId} />
        </div>
      </main>
      <ToastStack hidden={inboxOpen} onOpenPath={open} />
    </>
  )
}
