import { type StompVersion, escapeHeader, formatPosition, type Position, type Publication } from '@tidings/protocol'
import { allocateMessage } from '../socket/text-message.ts'

/** The headers of a subscription's MESSAGE frames that are the same for every publication (PROTOCOL.md §5). */
export class MessageHead {
  /**
   * Subscriptions of one channel with the same key get the same bytes: `encode` runs once for each key and publication, however many
   * sockets it goes to.
   */
  readonly encodingKey: string
  readonly #before: string
  readonly #between: string
  readonly #ackId: string | undefined
  readonly #ascii: boolean

  /** `subscriptionId` is undefined for a STOMP 1.0 subscription without one. */
  constructor(destination: string, subscriptionId: string | undefined, version: StompVersion) {
    const id = subscriptionId === undefined ? undefined : escapeHeader(subscriptionId, version)
    // An empty id is not the same as none: the MESSAGE has a `subscription` header then.
    this.encodingKey = `${version}\n${subscriptionId === undefined ? '-' : `+${subscriptionId}`}`
    this.#before = `MESSAGE\n${id === undefined ? '' : `subscription:${id}\n`}message-id:`
    this.#between = `\ndestination:${destination}\ncontent-type:application/json\ncontent-length:`
    this.#ackId = version === '1.2' ? id : undefined
    this.#ascii = /^[\u0020-\u007e]*$/.test(id ?? '')
  }

  /** Returns the whole WebSocket message: its header, the MESSAGE frame, NUL. */
  encode(messageId: string, body: Uint8Array, traceparent?: string): Buffer {
    const ack = this.#ackId === undefined ? '' : `\nack:${messageId}@${this.#ackId}`
    const trace = traceparent === undefined ? '' : `\ntraceparent:${traceparent}`
    const head = `${this.#before}${messageId}${this.#between}${body.length}${ack}${trace}\n\n`
    const headBytes = this.#ascii ? head.length : Buffer.byteLength(head)
    const { message, at } = allocateMessage(headBytes + body.length + 1)
    message.write(head, at, this.#ascii ? 'latin1' : 'utf8')
    message.set(body, at + headBytes)
    message[message.length - 1] = 0
    return message
  }
}

/** Longest `message-id`: a position (two numbers of 15 digits) and the suffix of a publication without one. */
const maxMessageIdLength = 15 + 1 + 15 + 1 + 16

/** Length of the line in which a client of STOMP 1.2 sends the `ack` of a message back, without the id of the subscription. */
export const ackLineLength = 'id:'.length + maxMessageIdLength + '@'.length

/** Returns the message and the subscription that an `ack` header names; undefined when the gateway did not make the header. */
export function parseAckId(ackId: string): { messageId: string; subscriptionId: string } | undefined {
  const separator = ackId.indexOf('@')
  if (separator < 0) return undefined
  return { messageId: ackId.slice(0, separator), subscriptionId: ackId.slice(separator + 1) }
}

let withoutPosition = 0

/**
 * Returns the `message-id` of a publication: its position. A publication without one gets the position that it follows and a suffix,
 * so that a client can resume after it too (PROTOCOL.md §3).
 */
export function messageIdOf(publication: Publication, follows: Position | undefined): string {
  if (publication.position) return formatPosition(publication.position)
  withoutPosition++
  return `${follows ? formatPosition(follows) : '0-0'}.${withoutPosition}`
}
