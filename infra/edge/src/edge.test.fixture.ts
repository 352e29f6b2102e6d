import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type ServiceProcess, startService } from '@tidings/local'
import { afterEach } from 'vitest'
import { WebSocketServer } from 'ws'

const running: { stop: () => Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of running.splice(0).toReversed()) await each.stop()
})

/** Starts an edge that ends with the test. Its notify-api is away unless `env` names one. */
export async function startEdge(env: NodeJS.ProcessEnv, ...gatewayUrls: readonly string[]): Promise<ServiceProcess> {
  const edge = await startService('edge', {
    GATEWAY_URLS: gatewayUrls.join(',') || 'http://127.0.0.1:1',
    NOTIFY_API_URL: 'http://127.0.0.1:1',
    ...env,
  })
  running.push(edge)
  return edge
}

export interface EchoGateway {
  readonly url: string
  /** Number of open WebSockets. */
  readonly sockets: () => number
  /** Breaks all connections. */
  readonly terminate: () => void
}

/** Starts a stand-in for a gateway that ends with the test: sends its name in a greeting, then echoes. */
export async function startEchoGateway(name: string, port = 0): Promise<EchoGateway> {
  const server = new WebSocketServer({ host: '127.0.0.1', port, path: '/ws' })
  await once(server, 'listening')
  server.on('connection', (socket, { headers }) => {
    socket.send(JSON.stringify({ gateway: name, headers }))
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  const terminate = () => server.clients.forEach((socket) => socket.terminate())
  running.push({
    stop: async () => {
      terminate()
      server.close()
      await once(server, 'close')
    },
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets: () => server.clients.size,
    terminate,
  }
}

/** Starts a gateway that responds to every request with this text, and ends with the test. */
export async function startRefusingGateway(responseText: string): Promise<string> {
  const server = createServer((socket) => socket.on('error', () => {}).on('data', () => socket.end(responseText)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  running.push({ stop: async () => server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
