import { type ClientCommand, Close, type CloseCode, type Frame } from '@tidings/protocol'

/** A frame, or a whole session, that is refused: the session sends ERROR with the reason, then closes with the code. */
export interface Refusal {
  readonly code: CloseCode
  readonly reason: string
  /** Headers that ERROR has in addition, first. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** The refused frame. Default: the frame being handled. */
  readonly offender?: Offender
}

/** The fields of a refused frame that ERROR names. */
export interface Offender {
  readonly command: string
  /** Its `receipt` header, which ERROR repeats as `receipt-id`. */
  readonly receipt: string | undefined
}

/** A frame that was handled: headers of its RECEIPT, and what must happen after the RECEIPT is sent. */
export interface Handled {
  readonly receipt?: readonly (readonly [name: string, value: string])[]
  readonly afterwards?: () => void
}

/** Result of handling one frame; undefined when there is nothing to add to a RECEIPT. */
export type Outcome = Handled | Refusal | undefined

/** Returns a refusal of the frame being handled. */
export function refuse(code: CloseCode, reason: string): Refusal {
  return { code, reason }
}

/** Returns the refusal of a destination whose channel Redis does not permit to the gateway. */
export function notPermitted(destination: string): Refusal {
  return refuse(Close.forbidden, `Redis does not permit the gateway to subscribe to ${destination}`)
}

export function isRefusal(result: object | undefined): result is Refusal {
  return result !== undefined && 'code' in result
}

export function offenderOf({ command, headers }: Frame): Offender {
  return { command, receipt: headers.get('receipt') }
}

/** True for the two frames that open a session. They carry no `receipt` (STOMP 1.2, Receipts: "any client frame other than CONNECT"). */
export function opensSession(command: ClientCommand): boolean {
  return command === 'CONNECT' || command === 'STOMP'
}
