import { Client } from '@stomp/stompjs'
import { localOrigin, memberToken } from '@tidings/local'
import { Centrifuge } from 'centrifuge'
import { io } from 'socket.io-client'
import { WebSocket } from 'ws'
import type { Endpoint } from './wire.ts'

export interface StockOptions {
  readonly endpoint: Endpoint
  readonly memberId: number
  /** Called with the `message` of each notification. */
  readonly onMessage: (message: string) => void
}

interface Notification {
  readonly message: string
}

const reconnectMs = 500

/** Connects a member with the usual client of the system, which reconnects by itself. Returns what closes it. */
export function connectStockClient(options: StockOptions): () => void {
  const { wire } = options.endpoint
  if (wire === 'socket.io') return socketIoClient(options)
  return wire === 'centrifugo' ? centrifugoClient(options) : stompClient(options)
}

/** @stomp/stompjs, which subscribes again with the last `message-id` that it has received. A server without resume ignores it. */
function stompClient({ endpoint, memberId, onMessage }: StockOptions): () => void {
  let lastMessageId: string | undefined
  const headers = { origin: localOrigin, cookie: `access_token=${memberToken(memberId)}` }
  const client = new Client({
    reconnectDelay: reconnectMs,
    webSocketFactory: () => new WebSocket(`ws://127.0.0.1:${endpoint.port}/ws`, ['v12.stomp'], { headers }),
  })
  client.onConnect = () => {
    client.subscribe(
      '/member/queue/notification',
      (frame) => {
        lastMessageId = frame.headers['message-id']
        onMessage((JSON.parse(frame.body) as Notification).message)
      },
      lastMessageId ? { 'last-message-id': lastMessageId } : {},
    )
  }
  client.activate()
  return () => void client.deactivate({ force: true })
}

function socketIoClient({ endpoint, memberId, onMessage }: StockOptions): () => void {
  const extraHeaders = { cookie: `access_token=${memberToken(memberId)}` }
  const socket = io(`http://127.0.0.1:${endpoint.port}`, { transports: ['websocket'], forceNew: true, extraHeaders })
  socket.on('notification', ({ message }: Notification) => onMessage(message))
  return () => void socket.disconnect()
}

function centrifugoClient({ endpoint, memberId, onMessage }: StockOptions): () => void {
  const websocket = class extends WebSocket {
    constructor(url: string) {
      super(url, { headers: { origin: localOrigin } })
    }
  }
  const url = `ws://127.0.0.1:${endpoint.port}/connection/websocket`
  const client = new Centrifuge(url, { websocket, token: memberToken(memberId) })
  const subscription = client.newSubscription(`member:notification#${memberId}`)
  subscription.on('publication', ({ data }) => onMessage((data as Notification).message))
  client.on('error', () => {})
  subscription.subscribe()
  client.connect()
  return () => client.disconnect()
}
