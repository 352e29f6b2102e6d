import { type ClientCommand, Close } from '@tidings/protocol'
import type { Forward } from '../backend/publish-forward.ts'
import { opensSession, refuse } from '../session/outcome.ts'
import type { FrameHandler } from '../session/session.ts'
import { ack } from './ack.ts'
import { connect } from './connect.ts'
import { disconnect } from './disconnect.ts'
import { send } from './send.ts'
import { subscribe, type SubscribeDeps } from './subscribe.ts'
import { abort, begin, commit, transactional } from './transaction.ts'
import { unsubscribe } from './unsubscribe.ts'

export interface HandlerDeps extends SubscribeDeps {
  readonly forward: Forward
}

/** Returns the handler of all client frames (PROTOCOL.md §5): the gate that each passes, then the table by command. */
export function frameHandler(deps: HandlerDeps): FrameHandler {
  const { limits, forward } = deps
  const handle: FrameHandler = (session, frame) => {
    if (session.version === undefined && !opensSession(frame.command)) {
      return refuse(Close.badFrame, 'the first frame must be CONNECT')
    }
    return handlers[frame.command](session, frame)
  }
  const handlers: Record<ClientCommand, FrameHandler> = {
    CONNECT: connect(limits),
    STOMP: connect(limits), // STOMP 1.2, CONNECT: "servers MUST handle a STOMP frame in the same manner"
    SUBSCRIBE: subscribe(deps),
    UNSUBSCRIBE: unsubscribe,
    SEND: transactional(send(forward), limits),
    ACK: transactional(ack, limits),
    NACK: transactional(ack, limits), // both settle the message
    BEGIN: begin(limits),
    COMMIT: commit(handle),
    ABORT: abort,
    DISCONNECT: disconnect,
  }
  return handle
}
