import { createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import { Redis } from 'ioredis'
import { type WebSocket, WebSocketServer } from 'ws'

/**
 * The floor of the benchmark: what Node and the kernel cost. The `ws` server, the least STOMP that a stock client works with, and one
 * prebuilt WebSocket frame for each publication, which is written to every raw socket. It checks no token and has no limits, no
 * back-pressure and no resume.
 *
 * With `FRAMES=naive` it calls `ws.send` for each session instead, as most servers do.
 */
const { PORT, REDIS_URL, FRAMES } = process.env

interface Client {
  readonly ws: WebSocket
  readonly socket: Duplex
  readonly subscriptionId: string
}

const listenBacklog = 4_096
const openBrace = 123
const lineFeed = 10
const redis = new Redis(String(REDIS_URL))
const clients = new Map<string, Set<Client>>()
let sequence = 0

const server = createServer()
const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false, handleProtocols: () => 'v12.stomp' })
server.on('upgrade', (request, socket, head) => {
  wss.handleUpgrade(request, socket, head, (ws) => {
    const memberId = memberOf(request.headers.cookie ?? '')
    const channels: [channel: string, client: Client][] = []
    ws.on('message', (data: Buffer) => {
      const text = data.toString()
      if (text.startsWith('CONNECT')) ws.send('CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0')
      if (!text.startsWith('SUBSCRIBE')) return
      const channel = header(text, 'destination') === '/topic/all' ? 'broadcast:all' : `member:${memberId}:notification`
      const client = { ws, socket, subscriptionId: header(text, 'id') ?? '' }
      channels.push([channel, client])
      void subscribe(channel, client).then(() => ws.send(`RECEIPT\nreceipt-id:${header(text, 'receipt')}\n\n\0`))
    })
    ws.on('error', () => {})
    ws.on('close', () => {
      for (const [channel, client] of channels) void unsubscribe(channel, client)
    })
  })
})

redis.on('messageBuffer', (channel: Buffer, publication: Buffer) => {
  const targets = clients.get(channel.toString())
  if (!targets) return
  // A position precedes the body of what Tidings publishes.
  const body = publication[0] === openBrace ? publication : publication.subarray(publication.indexOf(lineFeed) + 1)
  if (FRAMES === 'naive') {
    for (const { ws, subscriptionId } of targets) ws.send(`${messageHead(subscriptionId, body.length)}${body.toString()}\0`)
    return
  }
  /** All subscriptions of one channel have the same id here, so that one frame serves all. */
  let frame: Buffer | undefined
  for (const { socket, subscriptionId } of targets) {
    frame ??= webSocketFrame(Buffer.concat([Buffer.from(messageHead(subscriptionId, body.length)), body, Buffer.of(0)]))
    socket.write(frame)
  }
})

server.listen(Number(PORT), '127.0.0.1', listenBacklog, () =>
  console.log(JSON.stringify({ msg: 'listening', port: Number(PORT) })),
)

async function subscribe(channel: string, client: Client): Promise<void> {
  const others = clients.get(channel)
  if (others) {
    others.add(client)
    return
  }
  clients.set(channel, new Set([client]))
  await redis.subscribe(channel)
}

async function unsubscribe(channel: string, client: Client): Promise<void> {
  const others = clients.get(channel)
  others?.delete(client)
  if (others?.size !== 0) return
  clients.delete(channel)
  await redis.unsubscribe(channel)
}

function messageHead(subscriptionId: string, length: number): string {
  return `MESSAGE\nsubscription:${subscriptionId}\nmessage-id:${sequence++}\ndestination:/member/queue/notification\ncontent-type:application/json\ncontent-length:${length}\n\n`
}

/** Returns an unmasked text frame of RFC 6455. Payloads are shorter than 64 KiB. */
function webSocketFrame(payload: Buffer): Buffer {
  const head = payload.length < 126 ? [0x81, payload.length] : [0x81, 126, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from(head), payload])
}

function header(frame: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(frame)?.[1]
}

function memberOf(cookie: string): string {
  const claims = /access_token=[^.]+\.([^.]+)/.exec(cookie)?.[1] ?? ''
  return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string }).sub
}
