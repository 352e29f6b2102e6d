import type { InboxItem } from '@tidings/client'
import { useTidings } from '@tidings/client/react'
import { type FocusEvent, type ReactNode, useEffect, useState } from 'react'
import { isProbe } from '../break/ledger.ts'
import { useStore } from '../store.ts'
import { useMessages } from '../language/language.ts'
import { Toast } from './toast.tsx'
import { ToastList } from './toast-list.ts'
import './toast-stack.css'

interface Props {
  /** Only announces arrivals to screen readers, because the open inbox shows them. */
  readonly hidden: boolean
  readonly onOpenPath: (path: string) => void
}

/** Shows arrivals as toasts over the page. */
export function ToastStack({ hidden, onOpenPath }: Props): ReactNode {
  const { toast } = useMessages()
  const { onNotification, inbox } = useTidings()
  const [list] = useState(() => new ToastList())
  const [latest, setLatest] = useState<InboxItem>()
  const shown = useStore(list.shown)

  useEffect(
    () =>
      onNotification((item) => {
        setLatest(item)
        if (!hidden && !isProbe(item)) list.add(item)
      }),
    [onNotification, list, hidden],
  )
  useEffect(() => {
    if (hidden) list.clear()
  }, [list, hidden])

  const open = ({ notificationId, redirectPath }: InboxItem) => {
    list.dismiss(notificationId)
    void inbox.markRead(notificationId)
    if (redirectPath !== undefined) onOpenPath(redirectPath)
  }
  const resumeOnLeave = ({ currentTarget, relatedTarget }: FocusEvent) => {
    if (!currentTarget.contains(relatedTarget)) list.resume()
  }

  return (
    <>
      <section
        className="toast-stack"
        aria-label={toast.label}
        onPointerEnter={list.pause}
        onPointerLeave={list.resume}
        onFocus={list.pause}
        onBlur={resumeOnLeave}
      >
        <ol>
          {shown.map(({ item, slot }) => (
            <Toast key={item.notificationId} item={item} slot={slot} onOpen={open} onDismiss={list.dismiss} />
          ))}
        </ol>
      </section>
      <p className="visually-hidden" role="status">
        {latest?.message}
      </p>
    </>
  )
}
