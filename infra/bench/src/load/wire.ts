import { localOrigin, memberToken } from '@tidings/local'

/** How members connect to a system. */
export interface Endpoint {
  /** `stomp-unconfirmed`: a server that sends no RECEIPT for a SUBSCRIBE. */
  readonly wire: 'stomp' | 'stomp-unconfirmed' | 'socket.io' | 'centrifugo'
  readonly port: number
}

export interface WireOptions {
  readonly memberId: number
  readonly destinations: readonly Destination[]
  /** STOMP: the position that each subscription resumes after. */
  readonly lastMessageId?: string | undefined
}

/** A name that all systems understand, or the destination of a task. */
export type Destination = 'all' | 'personal' | `task.${string}`

/** The first exchange of one protocol, without I/O. */
export interface Wire {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Texts to send once the WebSocket is open. */
  readonly greeting: readonly string[]
  /** Returns what to do after `text`, which arrived before the subscriptions were complete. */
  receive(text: string): Reaction
  /** Returns the response to a ping of the protocol, if `text` is one. */
  pong(text: string): string | undefined
}

interface Reaction {
  /** Texts to send. */
  readonly send: readonly string[]
  /** Whether the subscriptions are complete, as far as the server tells. */
  readonly ready: boolean
}

const tokenSeconds = 86_400

export function openWire({ wire }: Endpoint, options: WireOptions): Wire {
  const token = memberToken(options.memberId, { expiresInSeconds: tokenSeconds })
  if (wire === 'socket.io') return socketIoWire(token)
  if (wire === 'centrifugo') return centrifugoWire(options, token)
  return stompWire(options, token, wire === 'stomp')
}

/** STOMP 1.2. With `confirmed`, the session is ready when each SUBSCRIBE has its RECEIPT, otherwise when it is sent. */
function stompWire({ destinations, lastMessageId }: WireOptions, token: string, confirmed: boolean): Wire {
  let receipts = 0
  const resume = lastMessageId ? `last-message-id:${lastMessageId}\n` : ''
  return {
    path: '/ws',
    headers: { Cookie: `access_token=${token}`, Origin: localOrigin, 'Sec-WebSocket-Protocol': 'v12.stomp' },
    greeting: ['CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\n\n\0'],
    receive(text) {
      if (text.startsWith('CONNECTED')) {
        const subscribe = (destination: Destination, id: number) =>
          `SUBSCRIBE\nid:${id}\ndestination:${stompDestination(destination)}\nreceipt:${id}\n${resume}\n\0`
        return { send: destinations.map(subscribe), ready: !confirmed }
      }
      if (text.startsWith('ERROR')) throw new Error(text)
      receipts += text.split('RECEIPT\n').length - 1
      return { send: [], ready: receipts >= destinations.length }
    },
    pong: () => undefined,
  }
}

function stompDestination(destination: Destination): string {
  if (destination === 'all') return '/topic/all'
  return `/member/queue/${destination === 'personal' ? 'notification' : destination}`
}

/** Engine.IO 4 and Socket.IO 5. The server puts each socket in the room of its member by itself. */
function socketIoWire(token: string): Wire {
  return {
    path: '/socket.io/?EIO=4&transport=websocket',
    headers: { Cookie: `access_token=${token}` },
    greeting: [],
    receive(text) {
      if (text.startsWith('0')) return { send: ['40'], ready: false }
      if (text.startsWith('44')) throw new Error(text)
      return { send: [], ready: text.startsWith('40') }
    },
    pong: (text) => (text === '2' ? '3' : undefined),
  }
}

/** The JSON protocol of Centrifugo. */
function centrifugoWire({ memberId, destinations }: WireOptions, token: string): Wire {
  const commands = destinations.map((destination, index) =>
    JSON.stringify({
      id: index + 2,
      subscribe: { channel: destination === 'all' ? 'broadcast:all' : `member:notification#${memberId}` },
    }),
  )
  let replies = 0
  return {
    path: '/connection/websocket',
    headers: { Origin: localOrigin },
    greeting: [[JSON.stringify({ id: 1, connect: { token } }), ...commands].join('\n')],
    receive(text) {
      if (text.includes('"error"')) throw new Error(text)
      replies += text.split('"id":').length - 1
      return { send: [], ready: replies > destinations.length }
    },
    pong: (text) => (text === '{}' ? '{}' : undefined),
  }
}
