import { Close } from '@tidings/protocol'
import { parseAckId } from '../channel/message-head.ts'
import type { FrameHandler, Session } from '../session/session.ts'
import type { Subscription } from '../channel/subscription.ts'

/**
 * ACK and NACK both settle a message: it leaves the window of unacknowledged ones. A NACK is not answered by a redelivery
 * (STOMP 1.2, NACK, leaves that to the server). Settling what is not waiting, as after UNSUBSCRIBE, does nothing.
 */
export const ack: FrameHandler = (session, frame) => {
  const { headers } = frame
  if (session.version === '1.2') {
    // STOMP 1.2, ACK: "the id header MUST match the ack header of the MESSAGE".
    const id = headers.get('id')
    if (id === undefined) return session.refuseFrame(Close.badFrame, `${frame.command} needs an id header`, frame)
    const message = parseAckId(id)
    if (message) session.subscriptions.get(message.subscriptionId)?.settle(message.messageId)
    return undefined
  }
  const messageId = headers.get('message-id')
  if (messageId === undefined) return session.refuseFrame(Close.badFrame, `${frame.command} needs a message-id header`, frame)
  const subscriptionId = headers.get('subscription')
  // STOMP 1.1, ACK: both are required; in 1.0 the message id is enough.
  if (subscriptionId === undefined && session.version === '1.1') {
    return session.refuseFrame(Close.badFrame, `${frame.command} needs a subscription header`, frame)
  }
  const subscription = subscriptionId === undefined ? awaiting(session, messageId) : session.subscriptions.get(subscriptionId)
  subscription?.settle(messageId)
  return undefined
}

function awaiting(session: Session, messageId: string): Subscription | undefined {
  for (const subscription of session.subscriptions.values()) if (subscription.awaits(messageId)) return subscription
  return undefined
}
