import { useInbox } from '@tidings/client/react'
import { type ReactNode, useId, useLayoutEffect, useRef } from 'react'
import { PermissionRow } from '../connection/permission-row.tsx'
import { Icon } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import { InboxList } from './inbox-list.tsx'
import { useHeldArrivals } from './held-arrivals.ts'
import './inbox-panel.css'
import { InboxPlaceholder } from './inbox-placeholder.tsx'

const phoneQuery = '(width < 40rem)'

interface Props {
  readonly onClose: () => void
  readonly onOpenPath: (path: string) => void
}

/** The inbox: a panel beside the page, or a modal dialog on a phone. */
export function InboxPanel({ onClose, onOpenPath }: Props): ReactNode {
  const { inbox: words, close } = useMessages()
  const { items, status, unreadCount, markAllRead } = useInbox()
  const arrivals = useHeldArrivals(items)
  const dialog = useRef<HTMLDialogElement>(null)
  const title = useRef<HTMLHeadingElement>(null)
  const titleId = useId()

  useLayoutEffect(() => {
    const element = dialog.current
    if (matchMedia(phoneQuery).matches) element?.showModal()
    else element?.show()
    title.current?.focus()
    // Closing it before React removes it returns the focus to the element that had it before.
    return () => element?.close()
  }, [])

  return (
    <dialog
      ref={dialog}
      className="inbox-panel floating"
      aria-labelledby={titleId}
      onCancel={onClose}
      onKeyDown={({ key }) => key === 'Escape' && onClose()}
    >
      <div className="inbox-header">
        <h2 id={titleId} ref={title} tabIndex={-1}>
          {words.title}
        </h2>
        <button
          type="button"
          className="button plain small"
          aria-disabled={unreadCount === 0}
          onClick={() => unreadCount > 0 && void markAllRead(arrivals.shown[0]?.notificationId)}
        >
          {words.markAllRead}
        </button>
        <button type="button" className="button plain icon small" aria-label={close} onClick={onClose}>
          <Icon name="close" size={18} />
        </button>
      </div>
      {items.length > 0 ? (
        <InboxList arrivals={arrivals} onOpenPath={onOpenPath} />
      ) : (
        <InboxPlaceholder failed={status === 'error'} empty={status === 'ready'} />
      )}
      <PermissionRow />
    </dialog>
  )
}
