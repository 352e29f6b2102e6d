import { useInbox } from '@tidings/client/react'
import type { CSSProperties, ReactNode } from 'react'
import { useMessages } from '../preference/preference.ts'

/** Shown instead of an empty list: the inbox is empty, still loading, or failed to load. */
export function InboxPlaceholder({ failed, empty }: { readonly failed: boolean; readonly empty: boolean }): ReactNode {
  const { inbox, tryAgain } = useMessages()
  const { reload } = useInbox()
  if (failed)
    return (
      <div className="inbox-blank" role="alert">
        <h3>{inbox.errorTitle}</h3>
        <p className="muted">{inbox.error}</p>
        <button type="button" className="button small" onClick={() => void reload()}>
          {tryAgain}
        </button>
      </div>
    )
  if (empty)
    return (
      <div className="inbox-blank">
        <h3>{inbox.emptyTitle}</h3>
        <p className="muted">{inbox.empty}</p>
      </div>
    )
  return (
    <div className="inbox-loading" role="status">
      <span className="visually-hidden">{inbox.loading}</span>
      {[72, 88, 54, 80].map((width) => (
        <div key={width} className="inbox-skeleton-line" style={{ '--width': `${width}%` } as CSSProperties} />
      ))}
    </div>
  )
}
