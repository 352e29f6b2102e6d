import { Close } from '@tidings/protocol'
import { publishable } from '../backend/publish-forward.ts'
import type { FrameHandler } from '../session/session.ts'

/** SEND: to the application only, which is notify-api. A refusal of it arrives on `/member/queue/error` (PROTOCOL.md §5). */
export const send: FrameHandler = (session, frame) => {
  const destination = frame.headers.get('destination')
  if (destination === undefined) return session.refuseFrame(Close.badFrame, 'SEND needs a destination header', frame)
  if (!Object.hasOwn(publishable, destination)) {
    const allowed = Object.keys(publishable).join(', ')
    return session.refuseFrame(Close.forbidden, `no such destination: ${destination}; allowed are ${allowed}`, frame)
  }
  return forward()

  async function forward(): Promise<void> {
    const refusal = await session.forward(destination as string, frame.body, session.credentials)
    if (refusal) session.tellError(refusal)
  }
}
