import type { InboxItem } from '@tidings/client'
import { useInbox } from '@tidings/client/react'
import { type ReactNode, useRef } from 'react'
import { Icon } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import { InboxEnd } from './inbox-end.tsx'
import { InboxRow } from './inbox-row.tsx'
import type { HeldArrivals } from './held-arrivals.ts'

interface Props {
  readonly arrivals: HeldArrivals
  readonly onOpenPath: (path: string) => void
}

/** The open inbox. New arrivals are held back until the person asks for them, so that rows do not move while being pressed. */
export function InboxList({ arrivals, onOpenPath }: Props): ReactNode {
  const { inbox: words } = useMessages()
  const { markRead } = useInbox()
  const scroller = useRef<HTMLDivElement>(null)
  const { shown, heldCount, show } = arrivals

  const showHeld = () => {
    show()
    scroller.current?.scrollTo({ top: 0 })
    scroller.current?.focus({ preventScroll: true })
  }
  const open = ({ notificationId, readAt, redirectPath }: InboxItem) => {
    if (readAt === null) void markRead(notificationId)
    if (redirectPath !== undefined) onOpenPath(redirectPath)
  }

  return (
    <div className="inbox-body">
      <div className="inbox-held" role="status">
        {heldCount > 0 && (
          <button type="button" className="button small strong" onClick={showHeld}>
            <Icon name="up" size={16} />
            {words.held(heldCount)}
          </button>
        )}
      </div>
      <div className="inbox-scroller" ref={scroller} tabIndex={-1}>
        <ul>
          {shown.map((item) => (
            <InboxRow key={item.notificationId} item={item} onOpen={open} onRead={markRead} />
          ))}
        </ul>
        <InboxEnd scroller={scroller} />
      </div>
    </div>
  )
}
