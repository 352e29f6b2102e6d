import type { InboxItem } from '@tidings/client'
import type { CSSProperties, MouseEvent, ReactNode } from 'react'
import { useMessages } from '../language/language.ts'

interface Props {
  readonly item: InboxItem
  readonly slot: number
  readonly onOpen: (item: InboxItem) => void
  readonly onDismiss: (notificationId: number) => void
}

export function Toast({ item, slot, onOpen, onDismiss }: Props): ReactNode {
  const { toast } = useMessages()
  const open = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return
    event.preventDefault()
    onOpen(item)
  }
  return (
    <li className="toast" style={{ '--slot': slot } as CSSProperties}>
      <a href={item.redirectPath} onClick={open}>
        <span className="toast-message" dir="auto">
          {item.message}
        </span>
      </a>
      <button
        type="button"
        className="plain"
        aria-label={`${toast.dismiss}: ${item.message}`}
        onClick={() => onDismiss(item.notificationId)}
      >
        ×
      </button>
    </li>
  )
}
