import { useTidings } from '@tidings/client/react'
import { type ReactNode, useEffect, useState } from 'react'
import { useCell } from '../cell.ts'
import { useMessages } from '../preference/preference.ts'
import './break-card.css'
import { Ledger } from './ledger.ts'
import { LedgerView } from './ledger-view.tsx'
import { give, offline } from './line.ts'
import { sendProbes } from './send-probes.ts'

const probeCount = 20

/** The connection's worst enemy, and the proof that nothing is lost. */
export function BreakCard({ memberId }: { readonly memberId: number }): ReactNode {
  const { break: words } = useMessages()
  const { onNotification } = useTidings()
  const [ledger] = useState(() => new Ledger())
  const [sending, setSending] = useState<number>()
  const [failed, setFailed] = useState(false)
  const away = useCell(offline)

  useEffect(() => onNotification((item) => ledger.arrived(item)), [onNotification, ledger])

  const burst = async () => {
    if (sending !== undefined) return
    setSending(0)
    const message = (number: number) => words.probe(number, probeCount)
    setFailed(!(await sendProbes(ledger, { memberId, count: probeCount, message, onSent: setSending })))
    setSending(undefined)
  }

  return (
    <section className="card break-card" aria-labelledby="break-title">
      <h2 id="break-title">{words.title}</h2>
      <p className="quiet">{words.lead}</p>
      <div className="lever">
        <div>
          <p className="lever-label">{words.drop}</p>
          <p className="quiet">{words.dropHint}</p>
        </div>
        <button type="button" className="button" aria-label={words.drop} onClick={() => give('drop')}>
          {words.dropShort}
        </button>
      </div>
      <div className="lever">
        <div>
          <p className="lever-label">{words.switchTo}</p>
          <p className="quiet">{words.switchHint}</p>
        </div>
        <button type="button" className="button" aria-label={words.switchTo} onClick={() => give('switch')}>
          {words.switchShort}
        </button>
      </div>
      <div className="lever">
        <div>
          <p id="offline-label" className="lever-label">
            {words.offline}
          </p>
          <p className="quiet">{words.offlineHint}</p>
        </div>
        <button
          type="button"
          className="switch"
          role="switch"
          aria-checked={away}
          aria-labelledby="offline-label"
          onClick={() => give(away ? 'come back' : 'go offline')}
        />
      </div>
      <div className="burst">
        <button type="button" className="button strong" aria-disabled={sending !== undefined} onClick={() => void burst()}>
          <span className="number">{sending === undefined ? words.burst(probeCount) : words.bursting(sending, probeCount)}</span>
        </button>
        <button type="button" className="button plain" onClick={() => ledger.clear()}>
          {words.clear}
        </button>
      </div>
      <LedgerView ledger={ledger} failed={failed} />
    </section>
  )
}
