import type { ReactNode } from 'react'
import { useCell } from '../cell.ts'
import { useMessages } from '../preference/preference.ts'
import type { Ledger } from './ledger.ts'

const shownMarks = 60
const ghosts = Array.from({ length: 20 }, (_, at) => at)

/** Its height is reserved: marks come without moving anything. */
export function LedgerView({ ledger, failed }: { readonly ledger: Ledger; readonly failed: boolean }): ReactNode {
  const { break: words } = useMessages()
  const { marks, arrivedCount, lateCount, inOrder } = useCell(ledger.state)
  const missing = marks.length - arrivedCount
  return (
    <div className="ledger">
      <dl className="ledger-count">
        <Count name={words.sent} value={marks.length} />
        <Count name={words.arrived} value={arrivedCount} />
        <Count name={words.waiting} value={missing} waiting={missing > 0} />
      </dl>
      <div className="ledger-marks" aria-hidden="true" data-ghost={marks.length === 0 || undefined}>
        {marks.length === 0 && ghosts.map((number) => <i key={number} />)}
        {marks.slice(-shownMarks).map(({ notificationId, arrived, late }) => (
          <i key={notificationId} data-arrived={arrived || undefined} data-late={late || undefined} />
        ))}
      </div>
      <p className="ledger-verdict" role="status">
        {failed && <span className="ledger-failed">{words.failed}</span>}
        {!failed && marks.length === 0 && <span className="quiet">{words.nothing}</span>}
        {!failed && marks.length > 0 && missing === 0 && words.complete(inOrder)}{' '}
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
