import type { InboxItem } from '@tidings/client'
import { useTidings } from '@tidings/client/react'
import { type FocusEvent, type ReactNode, useEffect, useState } from 'react'
import { isProbe } from '../break/probe.ts'
import { useCell } from '../cell.ts'
import { useMessages } from '../preference/preference.ts'
import { Toast } from './toast.tsx'
import { ToastList } from './toast-list.ts'
import './toast-stack.css'

interface Properties {
  /** Says it only: the inbox is open and shows it itself. */
  readonly hidden: boolean
  readonly onOpenPath: (path: string) => void
}

/** Live arrivals, over the page: nothing below them moves. */
export function ToastStack({ hidden, onOpenPath }: Properties): ReactNode {
  const { toast } = useMessages()
  const { onNotification, inbox } = useTidings()
  const [list] = useState(() => new ToastList())
  const [latest, setLatest] = useState<InboxItem>()
  const shown = useCell(list.shown)

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
    onOpenPath(redirectPath)
  }
  const leave = ({ currentTarget, relatedTarget }: FocusEvent) => {
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
        onBlur={leave}
      >
        <ol>
          {shown.map(({ item, slot }) => (
            <Toast key={item.notificationId} item={item} slot={slot} onOpen={open} onDismiss={list.dismiss} />
          ))}
        </ol>
      </section>
      <p className="unseen" role="status">
        {latest?.message}
      </p>
    </>
  )
}
