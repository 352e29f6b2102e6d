import { type StompVersion, escapeHeader, formatPosition, type Position, type Publication } from '@tidings/protocol'
import { allocateMessage } from '../socket/transport.ts'

/**
 * What all MESSAGE frames of like subscriptions share (PROTOCOL.md §5): same channel, destination, subscription id and version.
 * They get the same bytes: `encode` runs once for a publication, however many sockets it goes to.
 */
export class MessageHead {
  readonly #before: string
  readonly #between: string
  readonly #ackId: string | undefined
  readonly #ascii: boolean

  /** `subscriptionId` is undefined for a STOMP 1.0 subscription without one. */
  constructor(destination: string, subscriptionId: string | undefined, version: StompVersion) {
    const id = subscriptionId === undefined ? undefined : escapeHeader(subscriptionId, version)
    this.#before = `MESSAGE\n${id === undefined ? '' : `subscription:${id}\n`}message-id:`
    this.#between = `\ndestination:${destination}\ncontent-type:application/json\ncontent-length:`
    this.#ackId = version === '1.2' ? id : undefined
    this.#ascii = /^[\u0020-\u007e]*$/.test(id ?? '')
  }

  /** The whole WebSocket message: header, MESSAGE frame, NUL. */
  encode(messageId: string, body: Uint8Array): Buffer {
    const ack = this.#ackId === undefined ? '' : `\nack:${messageId}@${this.#ackId}`
    const head = `${this.#before}${messageId}${this.#between}${body.length}${ack}\n\n`
    const headBytes = this.#ascii ? head.length : Buffer.byteLength(head)
    const { message, at } = allocateMessage(headBytes + body.length + 1)
    message.write(head, at, this.#ascii ? 'latin1' : 'utf8')
    message.set(body, at + headBytes)
    message[message.length - 1] = 0
    return message
  }
}

/** Reads an `ack` header's value back: which message of which subscription. */
export function parseAckId(ackId: string): { messageId: string; subscriptionId: string } | undefined {
  const separator = ackId.indexOf('@')
  if (separator < 0) return undefined
  return { messageId: ackId.slice(0, separator), subscriptionId: ackId.slice(separator + 1) }
}

let withoutPosition = 0

/**
 * The `message-id` of a publication: its position. One without gets that of the publication it follows and a suffix, so that it too
 * can be resumed after (PROTOCOL.md §3).
 */
export function messageIdOf(publication: Publication, follows: Position | undefined): string {
  if (publication.position) return formatPosition(publication.position)
  withoutPosition++
  return `${follows ? formatPosition(follows) : '0-0'}.${withoutPosition}`
}
