import type { ClientCommand } from '@tidings/protocol'
import type { FrameHandler } from '../session/session.ts'
import { ack } from './ack.ts'
import { connect } from './connect.ts'
import { disconnect } from './disconnect.ts'
import { send } from './send.ts'
import { subscribe } from './subscribe.ts'
import { abort, begin, commit, transactional } from './transaction.ts'
import { unsubscribe } from './unsubscribe.ts'

/** What each client frame does (PROTOCOL.md §5). */
export const handlers: Record<ClientCommand, FrameHandler> = {
  CONNECT: connect,
  STOMP: connect, // STOMP 1.2, CONNECT: "servers MUST handle a STOMP frame in the same manner"
  SUBSCRIBE: subscribe,
  UNSUBSCRIBE: unsubscribe,
  SEND: transactional(send),
  ACK: transactional(ack),
  NACK: transactional(ack), // both settle the message
  BEGIN: begin,
  COMMIT: commit,
  ABORT: abort,
  DISCONNECT: disconnect,
}
