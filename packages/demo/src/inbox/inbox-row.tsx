import type { InboxItem } from '@tidings/client'
import { memo, type MouseEvent, type ReactNode } from 'react'
import { Icon } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import { RelativeTime } from './relative-time.tsx'

interface Props {
  readonly item: InboxItem
  readonly onOpen: (item: InboxItem) => void
  readonly onRead: (notificationId: number) => Promise<boolean>
}

export const InboxRow = memo(({ item, onOpen, onRead }: Props): ReactNode => {
  const { inbox } = useMessages()
  const { notificationId, message, redirectPath, createdAt, readAt, broadcast } = item
  const unread = readAt === null
  const open = (event: MouseEvent) => {
    // With a modifier key, the browser opens the link in another tab or window.
    if (event.metaKey || event.ctrlKey || event.shiftKey) return
    event.preventDefault()
    onOpen(item)
  }
  return (
    <li className="inbox-row" data-unread={unread || undefined}>
      {unread && <i className="inbox-dot" />}
      <a href={redirectPath} onClick={open}>
        {unread && <span className="visually-hidden">{inbox.unread}: </span>}
        <span className="inbox-message">{message}</span>
        <span className="inbox-meta muted">
          <RelativeTime at={createdAt} />
          {broadcast && <span>· {inbox.toEveryone}</span>}
          <span>·</span>
          <span className="inbox-path">{redirectPath}</span>
        </span>
      </a>
      {unread && (
        <button
          type="button"
          className="button plain icon small"
          title={inbox.markRead}
          aria-label={`${inbox.markRead}: ${message}`}
          onClick={() => void onRead(notificationId)}
        >
          <Icon name="check" size={18} />
        </button>
      )}
    </li>
  )
})
InboxRow.displayName = 'InboxRow'
