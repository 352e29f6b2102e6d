import { useInbox } from '@tidings/client/react'
import { type ReactNode, useId, useLayoutEffect, useRef } from 'react'
import { PermissionRow } from '../connection/permission-row.tsx'
import { Icon } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import { InboxList } from './inbox-list.tsx'
import './inbox-panel.css'
import { InboxTrouble } from './inbox-trouble.tsx'

const phone = '(width < 40rem)'

interface Properties {
  readonly onClose: () => void
  readonly onOpenPath: (path: string) => void
}

/** Beside the page where there is room, so that one can go on working; over all of it on a phone. */
export function InboxPanel({ onClose, onOpenPath }: Properties): ReactNode {
  const { inbox: words, close } = useMessages()
  const { items, status, unreadCount, markAllRead } = useInbox()
  const dialog = useRef<HTMLDialogElement>(null)
  const title = useRef<HTMLHeadingElement>(null)
  const titleId = useId()

  useLayoutEffect(() => {
    const element = dialog.current
    if (matchMedia(phone).matches) element?.showModal()
    else element?.show()
    title.current?.focus()
    // Before it is removed, so that the focus goes back to where it came from.
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
          onClick={() => unreadCount > 0 && void markAllRead()}
        >
          {words.markAllRead}
        </button>
        <button type="button" className="button plain icon small" aria-label={close} onClick={onClose}>
          <Icon name="close" size={18} />
        </button>
      </div>
      {items.length > 0 ? (
        <InboxList onOpenPath={onOpenPath} />
      ) : (
        <InboxTrouble failed={status === 'error'} empty={status === 'ready'} />
      )}
      <PermissionRow />
    </dialog>
  )
}
