import { Close } from '@tidings/protocol'
import type { FrameHandler } from '../session/session.ts'

/** UNSUBSCRIBE by id; in STOMP 1.0 also by destination. */
export const unsubscribe: FrameHandler = (session, frame) => {
  const destination = session.version === '1.0' ? frame.headers.get('destination') : undefined
  const id = frame.headers.get('id') ?? destination
  if (id === undefined) return session.refuseFrame(Close.badFrame, 'UNSUBSCRIBE needs an id header', frame)
  const subscription = session.subscriptions.get(id) ?? byDestination(session.subscriptions.values(), destination)
  if (!subscription) return session.refuseFrame(Close.badFrame, `there is no subscription with id ${id}`, frame)
  session.subscriptions.delete(subscription.id)
  subscription.end()
  if (subscription.target.kind === 'channel') session.hub.unsubscribe(subscription.target.channel, subscription)
  return undefined
}

function byDestination<S extends { destination: string }>(
  subscriptions: Iterable<S>,
  destination: string | undefined,
): S | undefined {
  for (const subscription of subscriptions) if (subscription.destination === destination) return subscription
  return undefined
}
