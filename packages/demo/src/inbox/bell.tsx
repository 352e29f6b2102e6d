import { useInbox } from '@tidings/client/react'
import type { ReactNode, Ref } from 'react'
import { Icon } from '../control/icon.tsx'
import { useMessages } from '../preference/preference.ts'
import './bell.css'

interface Props {
  readonly open: boolean
  readonly onPress: () => void
  readonly ref?: Ref<HTMLButtonElement>
}

const maxShownCount = 99

/** Opens the inbox. The unread badge overlays the bell, so that it does not shift the layout. */
export function Bell({ open, onPress, ref }: Props): ReactNode {
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
      <span className="visually-hidden">{inbox.open(unreadCount)}</span>
      <Icon name="bell" size={22} />
      {unreadCount > 0 && (
        <span className="badge number" key={unreadCount} aria-hidden="true">
          {unreadCount > maxShownCount ? `${maxShownCount}+` : unreadCount}
        </span>
      )}
    </button>
  )
}
