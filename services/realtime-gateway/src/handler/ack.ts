import { Close } from '@tidings/protocol'
import { parseAckId } from '../channel/message-head.ts'
import type { Subscription } from '../channel/subscription.ts'
import { refuse } from '../session/outcome.ts'
import type { FrameHandler, Session } from '../session/session.ts'

/**
 * ACK and NACK: both settle a message, which then no longer counts as unacknowledged. A NACK causes no redelivery (STOMP 1.2, NACK,
 * leaves that to the server). A message that is not awaited, as after UNSUBSCRIBE, is ignored.
 */
export const ack: FrameHandler = (session, { command, headers }) => {
  if (session.version === '1.2') {
    // STOMP 1.2, ACK: "the id header MUST match the ack header of the MESSAGE".
    const id = headers.get('id')
    if (id === undefined) return refuse(Close.badFrame, `${command} needs an id header`)
    const message = parseAckId(id)
    if (message) session.subscriptions.get(message.subscriptionId)?.settle(message.messageId)
    return undefined
  }
  const messageId = headers.get('message-id')
  if (messageId === undefined) return refuse(Close.badFrame, `${command} needs a message-id header`)
  const subscriptionId = headers.get('subscription')
  // STOMP 1.1, ACK: both headers are required; in 1.0 the message-id is enough.
  if (subscriptionId === undefined && session.version === '1.1') {
    return refuse(Close.badFrame, `${command} needs a subscription header`)
  }
  const subscription = subscriptionId === undefined ? awaiting(session, messageId) : session.subscriptions.get(subscriptionId)
  subscription?.settle(messageId)
  return undefined
}

function awaiting(session: Session, messageId: string): Subscription | undefined {
  for (const subscription of session.subscriptions.values()) if (subscription.awaits(messageId)) return subscription
  return undefined
}
