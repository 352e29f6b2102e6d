import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'

/** Stands in for a gateway: greets with its name, then echoes. */
export async function startEchoGateway(
  name: string,
  port = 0,
): Promise<{ url: string; sockets: () => number; breakOff: () => void; stop: () => Promise<void> }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port, path: '/ws' })
  await once(server, 'listening')
  server.on('connection', (socket, request) => {
    socket.send(JSON.stringify({ gateway: name, forwardedFor: request.headers['x-forwarded-for'] }))
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  const breakOff = () => server.clients.forEach((socket) => socket.terminate())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets: () => server.clients.size,
    breakOff,
    stop: async () => {
      breakOff()
      server.close()
      await once(server, 'close')
    },
  }
}
