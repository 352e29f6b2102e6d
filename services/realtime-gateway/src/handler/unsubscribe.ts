import { Close } from '@tidings/protocol'
import { keyWithoutId, type Subscription } from '../channel/subscription.ts'
import { refuse } from '../session/outcome.ts'
import type { FrameHandler, Session } from '../session/session.ts'

/** UNSUBSCRIBE by id; in STOMP 1.0 also by destination. */
export const unsubscribe: FrameHandler = (session, { headers }) => {
  const id = headers.get('id')
  const destination = headers.get('destination')
  if (id !== undefined) return end(session, session.subscriptions.get(id), `with id ${id}`)
  // STOMP 1.0, UNSUBSCRIBE: "either a destination header or an id header".
  if (session.version !== '1.0' || destination === undefined) return refuse(Close.badFrame, 'UNSUBSCRIBE needs an id header')
  const withoutId = session.subscriptions.get(keyWithoutId(destination))
  return end(session, withoutId ?? byDestination(session, destination), `to ${destination}`)
}

function end(session: Session, subscription: Subscription | undefined, name: string): ReturnType<FrameHandler> {
  if (!subscription) return refuse(Close.badFrame, `there is no subscription ${name}`)
  session.unsubscribe(subscription)
  return undefined
}

function byDestination({ subscriptions }: Session, destination: string): Subscription | undefined {
  for (const subscription of subscriptions.values()) if (subscription.destination === destination) return subscription
  return undefined
}
