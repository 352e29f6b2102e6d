import { useTidings } from '@tidings/client/react'
import type { MemberId } from '@tidings/protocol'
import { type ReactNode, useEffect, useState } from 'react'
import { useStore } from '../store.ts'
import { useMessages } from '../preference/preference.ts'
import './break-card.css'
import { Ledger } from './ledger.ts'
import { LedgerView } from './ledger-view.tsx'
import { injectFault, simulatedOffline } from './network-fault.ts'
import { sendProbes } from './send-probes.ts'

const probeCount = 20

/** Lets a person inject network faults while probes are being sent, and shows that every probe arrives. */
export function BreakCard({ memberId }: { readonly memberId: MemberId }): ReactNode {
  const { break: words } = useMessages()
  const { onNotification } = useTidings()
  const [ledger] = useState(() => new Ledger())
  const [sending, setSending] = useState<number>()
  const [failed, setFailed] = useState(false)
  const offline = useStore(simulatedOffline)

  useEffect(() => onNotification((item) => ledger.recordArrival(item)), [onNotification, ledger])

  const sendBurst = async () => {
    if (sending !== undefined) return
    setSending(0)
    const message = (number: number) => words.probe(number, probeCount)
    setFailed(!(await sendProbes(ledger, { memberId, count: probeCount, message, onSent: setSending })))
    setSending(undefined)
  }

  return (
    <section className="card break-card" aria-labelledby="break-title">
      <h2 id="break-title">{words.title}</h2>
      <p className="muted">{words.lead}</p>
      <div className="fault">
        <div>
          <p className="fault-label">{words.drop}</p>
          <p className="muted">{words.dropHint}</p>
        </div>
        <button type="button" className="button" aria-label={words.drop} onClick={() => injectFault('drop')}>
          {words.dropShort}
        </button>
      </div>
      <div className="fault">
        <div>
          <p className="fault-label">{words.switchTo}</p>
          <p className="muted">{words.switchHint}</p>
        </div>
        <button type="button" className="button" aria-label={words.switchTo} onClick={() => injectFault('switch-gateway')}>
          {words.switchShort}
        </button>
      </div>
      <div className="fault">
        <div>
          <p id="offline-label" className="fault-label">
            {words.offline}
          </p>
          <p className="muted">{words.offlineHint}</p>
        </div>
        <button
          type="button"
          className="switch"
          role="switch"
          aria-checked={offline}
          aria-labelledby="offline-label"
          onClick={() => injectFault(offline ? 'go-online' : 'go-offline')}
        />
      </div>
      <div className="burst">
        <button type="button" className="button strong" aria-disabled={sending !== undefined} onClick={() => void sendBurst()}>
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
