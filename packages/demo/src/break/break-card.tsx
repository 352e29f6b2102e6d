import { useTidings } from '@tidings/client/react'
import type { MemberId } from '@tidings/protocol'
import { type ReactNode, useEffect, useState } from 'react'
import { post } from '../post.ts'
import { useStore } from '../store.ts'
import { useMessages } from '../language/language.ts'
import './break-card.css'
import { isProbe, Ledger, probeData } from './ledger.ts'
import { LedgerView } from './ledger-view.tsx'
import { injectFault, simulatedOffline } from './network-fault.ts'

const probeCount = 20
/** Leaves time to inject a fault between two probes. */
const pauseMs = 120

/** Lets a person inject network faults while probes are being sent, and shows that every probe arrives. */
export function BreakCard({ memberId }: { readonly memberId: MemberId }): ReactNode {
  const { break: words } = useMessages()
  const { onNotification } = useTidings()
  const [ledger] = useState(() => new Ledger())
  const [sending, setSending] = useState<number>()
  const [failed, setFailed] = useState(false)
  const offline = useStore(simulatedOffline)

  useEffect(() => onNotification((item) => isProbe(item) && ledger.recordArrival(item)), [onNotification, ledger])

  const sendBurst = async () => {
    if (sending !== undefined) return
    setFailed(false)
    for (let number = 1; number <= probeCount; number += 1) {
      setSending(number)
      const probe = { memberId, message: words.probe(number, probeCount), redirectPath: '/', data: probeData }
      const sentAt = Date.now()
      const result = await post<{ notificationId: number }>('/demo/send', probe)
      if ('refusal' in result) {
        setFailed(true)
        break
      }
      ledger.recordSent(result.body.notificationId, sentAt)
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    setSending(undefined)
  }

  return (
    <section className="card" aria-labelledby="break-title">
      <h2 id="break-title">{words.title}</h2>
      <p className="muted">{words.lead}</p>
      <div className="faults small">
        <button type="button" onClick={() => injectFault('drop')}>
          {words.drop}
        </button>
        <p className="muted">{words.dropHint}</p>
        <button type="button" onClick={() => injectFault('switch-gateway')}>
          {words.switchTo}
        </button>
        <p className="muted">{words.switchHint}</p>
        <button
          type="button"
          role="switch"
          aria-checked={offline}
          onClick={() => injectFault(offline ? 'go-online' : 'go-offline')}
        >
          {words.offline}
        </button>
        <p className="muted">{words.offlineHint}</p>
        <button type="button" className="strong" aria-disabled={sending !== undefined} onClick={() => void sendBurst()}>
          {sending === undefined ? words.burst(probeCount) : words.bursting(sending, probeCount)}
        </button>
        <button type="button" className="plain" onClick={() => ledger.clear()}>
          {words.clear}
        </button>
      </div>
      <LedgerView ledger={ledger} failed={failed} />
    </section>
  )
}
