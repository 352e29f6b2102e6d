import { Close } from '@tidings/protocol'
import { type Forward, isPublishDestination, publishDestinations } from '../backend/publish-forward.ts'
import { refuse } from '../session/outcome.ts'
import type { FrameHandler } from '../session/session.ts'

/** SEND: forwarded to notify-api. What notify-api refuses is sent on `/member/queue/error`, and the session stays open (PROTOCOL.md §5). */
export function send(forward: Forward): FrameHandler {
  return (session, frame) => {
    const destination = frame.headers.get('destination')
    if (destination === undefined) return refuse(Close.badFrame, 'SEND needs a destination header')
    if (!isPublishDestination(destination)) {
      return refuse(Close.forbidden, `no such destination: ${destination}; allowed are ${publishDestinations.join(', ')}`)
    }
    return forward(destination, frame.body, session.credentials).then((error) => {
      if (error) session.queues.sendError(error)
      return undefined
    })
  }
}
