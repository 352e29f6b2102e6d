import { postDemoSend } from '../send/post-demo-send.ts'
import type { Ledger } from './ledger.ts'
import { probeData } from './probe.ts'

const pauseMs = 120

interface Probes {
  readonly memberId: number
  readonly count: number
  readonly message: (number: number) => string
  readonly onSent: (number: number) => void
}

/** One after the other, slowly enough to break something meanwhile. Answers whether all were taken. */
export async function sendProbes(ledger: Ledger, { memberId, count, message, onSent }: Probes): Promise<boolean> {
  for (let number = 1; number <= count; number += 1) {
    const sentAt = Date.now()
    const answer = await postDemoSend({ memberId }, { message: message(number), redirectPath: '/', data: probeData })
    const [sent] = answer.status === 'sent' ? answer.notifications : []
    if (!sent) return false
    ledger.sent(sent.notificationId, sentAt)
    onSent(number)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  return true
}
