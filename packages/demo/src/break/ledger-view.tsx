import type { ReactNode } from 'react'
import { useStore } from '../store.ts'
import { useMessages } from '../language/language.ts'
import type { Ledger } from './ledger.ts'

const maxShownEntries = 60

/** Shows one mark per probe and a summary. Its height is reserved, so that new marks do not shift the layout. */
export function LedgerView({ ledger, failed }: { readonly ledger: Ledger; readonly failed: boolean }): ReactNode {
  const { break: words } = useMessages()
  const { entries, arrivedCount, inOrder } = useStore(ledger.state)
  const lateCount = entries.filter(({ late }) => late).length
  const missing = entries.length - arrivedCount
  const counts = { [words.sent]: entries.length, [words.arrived]: arrivedCount, [words.waiting]: missing }
  const complete = entries.length > 0 && missing === 0
  return (
    <>
      <dl className="ledger-count">
        {Object.entries(counts).map(([name, value]) => (
          <div key={name}>
            <dt className="muted small">{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p className="ledger-verdict" role="status">
        {failed ? words.failed : entries.length === 0 ? words.nothing : complete && words.complete(inOrder)}{' '}
        {!failed && complete && lateCount > 0 && <span className="late">{words.late(lateCount)}</span>}
      </p>
      <div className="ledger-marks" aria-hidden="true">
        {entries.slice(-maxShownEntries).map(({ notificationId, arrived, late }) => (
          <i key={notificationId} data-arrived={arrived || undefined} data-late={late || undefined} />
        ))}
      </div>
    </>
  )
}
