import { Close } from '@tidings/protocol'
import { refuse } from '../session/outcome.ts'
import type { FrameHandler } from '../session/session.ts'

/** UNSUBSCRIBE by id; in STOMP 1.0 also by destination. */
export const unsubscribe: FrameHandler = (session, { headers }) => {
  const destination = session.version === '1.0' ? headers.get('destination') : undefined
  const id = headers.get('id') ?? destination
  if (id === undefined) return refuse(Close.badFrame, 'UNSUBSCRIBE needs an id header')
  const subscription = session.subscriptions.get(id) ?? byDestination(session.subscriptions.values(), destination)
  if (!subscription) return refuse(Close.badFrame, `there is no subscription with id ${id}`)
  session.unsubscribe(subscription)
  return undefined
}

function byDestination<S extends { destination: string }>(
  subscriptions: Iterable<S>,
  destination: string | undefined,
): S | undefined {
  for (const subscription of subscriptions) if (subscription.destination === destination) return subscription
  return undefined
}
