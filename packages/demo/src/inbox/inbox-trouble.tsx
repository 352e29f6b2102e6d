import { useInbox } from '@tidings/client/react'
import type { CSSProperties, ReactNode } from 'react'
import { useMessages } from '../preference/preference.ts'

/** What is there when nothing can be listed: nothing yet, not yet, or not now. */
export function InboxTrouble({ failed, empty }: { readonly failed: boolean; readonly empty: boolean }): ReactNode {
  const { inbox, tryAgain } = useMessages()
  const { reload } = useInbox()
  if (failed)
    return (
      <div className="inbox-blank" role="alert">
        <h3>{inbox.errorTitle}</h3>
        <p className="quiet">{inbox.error}</p>
        <button type="button" className="button small" onClick={() => void reload()}>
          {tryAgain}
        </button>
      </div>
    )
  if (empty)
    return (
      <div className="inbox-blank">
        <h3>{inbox.emptyTitle}</h3>
        <p className="quiet">{inbox.empty}</p>
      </div>
    )
  return (
    <div className="inbox-loading" role="status">
      <span className="unseen">{inbox.loading}</span>
      {[72, 88, 54, 80].map((width) => (
        <div key={width} className="inbox-bone" style={{ '--width': `${width}%` } as CSSProperties} />
      ))}
    </div>
  )
}
