import { type ClientCommand, Close, type Frame } from '@tidings/protocol'
import type { Limits } from '../config.ts'
import { isRefusal, offenderOf, type Refusal, refuse } from '../session/outcome.ts'
import type { FrameHandler, Session } from '../session/session.ts'
import type { Transaction } from '../session/transaction.ts'

/** BEGIN: opens a transaction under the client's name for it. */
export function begin({ maxTransactions }: Limits): FrameHandler {
  return (session, frame) => {
    const id = frame.headers.get('transaction')
    if (id === undefined) return withoutId(frame)
    session.transactions ??= new Map()
    if (session.transactions.has(id)) return refuse(Close.badFrame, `transaction ${id} is open already`)
    if (session.transactions.size >= maxTransactions) {
      return refuse(Close.badFrame, `more than ${maxTransactions} open transactions (MAX_TRANSACTIONS)`)
    }
    session.transactions.set(id, { frames: [], bytes: 0 })
    return undefined
  }
}

/** COMMIT: handles the frames of the transaction in their order. If one is refused, the session ends, and ERROR names that frame. */
export function commit(handle: FrameHandler): FrameHandler {
  return async (session, frame) => {
    const transaction = close(session, frame)
    if (isRefusal(transaction)) return transaction
    for (const held of transaction.frames) {
      if (session.closed) break
      const outcome = await handle(session, held)
      if (isRefusal(outcome)) return { ...outcome, offender: offenderOf(held) }
    }
    return undefined
  }
}

/** ABORT: drops the frames of the transaction. */
export const abort: FrameHandler = (session, frame) => {
  const transaction = close(session, frame)
  return isRefusal(transaction) ? transaction : undefined
}

/** Returns a handler that holds SEND, ACK and NACK with a `transaction` header until COMMIT. */
export function transactional(handle: FrameHandler, { maxTransactionFrames, maxFrameBytes }: Limits): FrameHandler {
  return (session, frame) => {
    const id = frame.headers.get('transaction')
    if (id === undefined) return handle(session, frame)
    const transaction = session.transactions?.get(id)
    if (!transaction) return notOpen(id)
    if (transaction.frames.length >= maxTransactionFrames) {
      return refuse(Close.badFrame, `more than ${maxTransactionFrames} frames in a transaction (MAX_TRANSACTION_FRAMES)`)
    }
    transaction.bytes += bytesOf(frame)
    if (transaction.bytes > maxFrameBytes) {
      return refuse(Close.badFrame, `more than ${maxFrameBytes} bytes in a transaction, as in a frame (MAX_FRAME_BYTES)`)
    }
    transaction.frames.push(withoutTransaction(frame))
    return undefined
  }
}

/** Removes the transaction that the frame names, and returns it. */
function close(session: Session, frame: Frame): Transaction | Refusal {
  const id = frame.headers.get('transaction')
  if (id === undefined) return withoutId(frame)
  const transaction = session.transactions?.get(id)
  session.transactions?.delete(id)
  return transaction ?? notOpen(id)
}

function withoutId({ command }: Frame): Refusal {
  return refuse(Close.badFrame, `${command} needs a transaction header`)
}

function notOpen(id: string): Refusal {
  return refuse(Close.badFrame, `there is no open transaction ${id}`)
}

function bytesOf({ headers, body }: Frame): number {
  let total = body.length
  for (const [name, value] of headers) total += name.length + value.length
  return total
}

function withoutTransaction(frame: Frame<ClientCommand>): Frame<ClientCommand> {
  const headers = new Map(frame.headers)
  headers.delete('transaction')
  // A body may share the memory of a whole read: only its own bytes are kept.
  return { ...frame, headers, body: new Uint8Array(frame.body) }
}
