import type { MemberId } from '@tidings/protocol'
import { postDemoSend } from '../send/post-demo-send.ts'
import type { Ledger } from './ledger.ts'
import { probeData } from './probe.ts'

const pauseMs = 120

interface ProbeOptions {
  readonly memberId: MemberId
  readonly count: number
  readonly message: (number: number) => string
  readonly onSent: (number: number) => void
}

/**
 * Sends probes one by one, with a pause in between that leaves time to inject a fault.
 *
 * @returns whether the server accepted all of them.
 */
export async function sendProbes(ledger: Ledger, { memberId, count, message, onSent }: ProbeOptions): Promise<boolean> {
  for (let number = 1; number <= count; number += 1) {
    const sentAt = Date.now()
    const result = await postDemoSend({ memberId }, { message: message(number), redirectPath: '/', data: probeData })
    const [sent] = result.status === 'sent' ? result.notifications : []
    if (!sent) return false
    ledger.recordSent(sent.notificationId, sentAt)
    onSent(number)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  return true
}
