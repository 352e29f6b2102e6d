import { Close } from '@tidings/protocol'
import type { FrameHandler } from '../session/session.ts'

/** DISCONNECT → RECEIPT if requested, then close (STOMP 1.2, DISCONNECT). */
export const disconnect: FrameHandler = (session) => ({ afterwards: () => session.close(Close.done, 'disconnected') })
