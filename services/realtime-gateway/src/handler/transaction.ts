import { type ClientCommand, Close, type Frame } from '@tidings/protocol'
import type { FrameHandler, Session } from '../session/session.ts'

/** BEGIN: opens a transaction under the client's name for it. */
export const begin: FrameHandler = (session, frame) => {
  const id = transactionOf(session, frame)
  if (id === undefined) return undefined
  session.transactions ??= new Map()
  const { maxTransactions } = session.limits
  if (session.transactions.has(id)) return session.refuseFrame(Close.badFrame, `transaction ${id} is open already`, frame)
  if (session.transactions.size >= maxTransactions) {
    return session.refuseFrame(Close.badFrame, `more than ${maxTransactions} open transactions (MAX_TRANSACTIONS)`, frame)
  }
  session.transactions.set(id, { frames: [], bytes: 0 })
  return undefined
}

/** COMMIT: handles the frames of the transaction in their order. */
export const commit: FrameHandler = async (session, frame) => {
  const frames = close(session, frame)
  for (const held of frames ?? []) await session.handleCommitted(held)
}

/** ABORT: forgets the frames of the transaction. */
export const abort: FrameHandler = (session, frame) => void close(session, frame)

/** SEND, ACK and NACK with a `transaction` header wait for its COMMIT. */
export function transactional(handle: FrameHandler): FrameHandler {
  return (session, frame) => {
    const id = frame.headers.get('transaction')
    if (id === undefined) return handle(session, frame)
    const transaction = session.transactions?.get(id)
    if (!transaction) return session.refuseFrame(Close.badFrame, `there is no open transaction ${id}`, frame)
    const { maxTransactionFrames, maxFrameBytes } = session.limits
    if (transaction.frames.length >= maxTransactionFrames) {
      const reason = `more than ${maxTransactionFrames} frames in a transaction (MAX_TRANSACTION_FRAMES)`
      return session.refuseFrame(Close.badFrame, reason, frame)
    }
    transaction.bytes += bytesOf(frame)
    if (transaction.bytes > maxFrameBytes) {
      const reason = `more than ${maxFrameBytes} bytes in a transaction, as in a frame (MAX_FRAME_BYTES)`
      return session.refuseFrame(Close.badFrame, reason, frame)
    }
    transaction.frames.push(withoutTransaction(frame))
    return undefined
  }
}

function close(session: Session, frame: Frame): readonly Frame<ClientCommand>[] | undefined {
  const id = transactionOf(session, frame)
  if (id === undefined) return undefined
  const transaction = session.transactions?.get(id)
  if (!transaction) session.refuseFrame(Close.badFrame, `there is no open transaction ${id}`, frame)
  session.transactions?.delete(id)
  return transaction?.frames
}

function transactionOf(session: Session, frame: Frame): string | undefined {
  const id = frame.headers.get('transaction')
  if (id === undefined) session.refuseFrame(Close.badFrame, `${frame.command} needs a transaction header`, frame)
  return id
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
  return { ...frame, headers, body: frame.body.slice() }
}
