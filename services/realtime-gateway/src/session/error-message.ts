import { formatFrame, type StompVersion } from '@tidings/protocol'
import { textMessage } from '../socket/text-message.ts'
import type { Refusal } from './outcome.ts'

const maxReasonLength = 300

/** Returns the ERROR of a refusal as a WebSocket message (STOMP 1.2, ERROR). Never throws. */
export function errorMessage({ reason, headers: additional = [], offender }: Refusal, version: StompVersion | undefined): Buffer {
  const headers = [...additional, ['content-type', 'text/plain'] as const, ['message', printable(reason)] as const]
  const body = offender ? `${offender.command} was refused: ${reason}\n` : `${reason}\n`
  if (offender?.receipt !== undefined) {
    try {
      const withReceipt = [...headers, ['receipt-id', offender.receipt] as const]
      return textMessage(formatFrame({ command: 'ERROR', headers: withReceipt, body }, version))
    } catch {
      // This version cannot express the receipt: ERROR is sent without it.
    }
  }
  return textMessage(formatFrame({ command: 'ERROR', headers, body }, version))
}

/** Returns text of a client as one short line of printable ASCII, which every version can express in a header. */
export function printable(text: string): string {
  return text.slice(0, maxReasonLength).replaceAll(/[^\u0020-\u007e]/g, '?')
}
