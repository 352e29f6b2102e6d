import type { InboxItem } from '@tidings/client'
import type { CSSProperties, MouseEvent, ReactNode } from 'react'
import { Icon } from '../control/icon.tsx'
import { RelativeTime } from '../inbox/relative-time.tsx'
import { useMessages } from '../preference/preference.ts'

interface Props {
  readonly item: InboxItem
  readonly slot: number
  readonly onOpen: (item: InboxItem) => void
  readonly onDismiss: (notificationId: number) => void
}

export function Toast({ item, slot, onOpen, onDismiss }: Props): ReactNode {
  const { toast, inbox } = useMessages()
  const open = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return
    event.preventDefault()
    onOpen(item)
  }
  return (
    <li className="toast floating" style={{ '--slot': slot } as CSSProperties}>
      <a href={item.redirectPath} onClick={open}>
        <span className="inbox-message">{item.message}</span>
        <span className="inbox-meta muted">
          <RelativeTime at={item.createdAt} />
          {item.broadcast && <span>· {inbox.toEveryone}</span>}
          <span>·</span>
          <span className="inbox-path">{item.redirectPath}</span>
        </span>
      </a>
      <button
        type="button"
        className="button plain icon small"
        aria-label={`${toast.dismiss}: ${item.message}`}
        onClick={() => onDismiss(item.notificationId)}
      >
        <Icon name="close" size={16} />
      </button>
    </li>
  )
}
