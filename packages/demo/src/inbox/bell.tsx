import { useInbox } from '@tidings/client/react'
import type { ReactNode, Ref } from 'react'
import { Icon } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import './bell.css'

interface Properties {
  readonly open: boolean
  readonly onPress: () => void
  readonly ref?: Ref<HTMLButtonElement>
}

/** The badge lies over the bell: its coming and going moves nothing. */
export function Bell({ open, onPress, ref }: Properties): ReactNode {
  const { inbox } = useMessages()
  const { unreadCount } = useInbox()
  return (
    <button
      type="button"
      ref={ref}
      className="button plain icon bell"
      aria-haspopup="dialog"
      aria-expanded={open}
      onClick={onPress}
    >
      <span className="unseen">{inbox.open(unreadCount)}</span>
      <Icon name="bell" size={22} />
      {unreadCount > 0 && (
        <span className="badge number" key={unreadCount} aria-hidden="true">
          {unreadCount > 99 ? '99+' : unreadCount}
        </span>
      )}
    </button>
  )
}
