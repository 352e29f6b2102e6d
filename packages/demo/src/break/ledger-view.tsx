import type { ReactNode } from 'react'
import { useStore } from '../store.ts'
import { useMessages } from '../preference/preference.ts'
import type { Ledger } from './ledger.ts'

const maxShownEntries = 60
const placeholders = Array.from({ length: 20 }, (_, index) => index)

/** Shows one mark per probe and a summary. Its height is reserved, so that new marks do not shift the layout. */
export function LedgerView({ ledger, failed }: { readonly ledger: Ledger; readonly failed: boolean }): ReactNode {
  const { break: words } = useMessages()
  const { entries, arrivedCount, lateCount, inOrder } = useStore(ledger.state)
  const missing = entries.length - arrivedCount
  return (
    <div className="ledger">
      <dl className="ledger-count">
        <Count name={words.sent} value={entries.length} />
        <Count name={words.arrived} value={arrivedCount} />
        <Count name={words.waiting} value={missing} waiting={missing > 0} />
      </dl>
      <div className="ledger-marks" aria-hidden="true" data-placeholder={entries.length === 0 || undefined}>
        {entries.length === 0 && placeholders.map((number) => <i key={number} />)}
        {entries.slice(-maxShownEntries).map(({ notificationId, arrived, late }) => (
          <i key={notificationId} data-arrived={arrived || undefined} data-late={late || undefined} />
        ))}
      </div>
      <p className="ledger-verdict" role="status">
        {failed && <span className="ledger-failed">{words.failed}</span>}
        {!failed && entries.length === 0 && <span className="muted">{words.nothing}</span>}
        {!failed && entries.length > 0 && missing === 0 && words.complete(inOrder)}{' '}
        {!failed && missing === 0 && lateCount > 0 && <span className="ledger-late">{words.late(lateCount)}</span>}
      </p>
    </div>
  )
}

function Count({
  name,
  value,
  waiting,
}: {
  readonly name: string
  readonly value: number
  readonly waiting?: boolean
}): ReactNode {
  return (
    <div data-waiting={waiting || undefined}>
      <dt>{name}</dt>
      <dd className="number">{value}</dd>
    </div>
  )
}
