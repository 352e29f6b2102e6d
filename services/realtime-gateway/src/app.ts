import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import fastifyWebsocket from '@fastify/websocket'
import { stompVersions, subprotocols } from '@tidings/protocol'
import { type FastifyInstance, fastify } from 'fastify'
import type { WebSocket } from 'ws'
import { type Handshake, handshake, peerDecorator, peerOf } from './socket/handshake.ts'
import type { Peer } from './session/session.ts'
import { WebSocketTransport } from './socket/websocket-transport.ts'
import type { WriteBatch } from './socket/write-batch.ts'

/** A close that the peer does not answer is over after this. The option is younger than the types of `ws`. */
const closing = { closeTimeout: 5_000 } as const
/** A request that is not whole by then is cut off. */
const requestMs = 10_000
/** Smallest bound of one WebSocket message; a message may hold several frames. */
const minMessageBytes = 131_072

/** The public port: `GET /ws` and nothing else. */
export async function buildApp(
  options: Handshake & { readonly batch: WriteBatch; readonly maxFrameBytes: number },
): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    forceCloseConnections: true,
    requestTimeout: requestMs,
    routerOptions: { ignoreTrailingSlash: false },
  })
  app.decorateRequest<Peer | null>(peerDecorator, null)
  await app.register(fastifyCookie, { hook: false })
  await app.register(fastifyWebsocket, {
    options: {
      ...closing,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: Math.max(minMessageBytes, 2 * options.maxFrameBytes),
      handleProtocols: (offered: ReadonlySet<string>) =>
        stompVersions.map((version) => subprotocols[version]).find((name) => offered.has(name)) ?? false,
    },
    // Sessions are drained before the app closes: nothing is left to be closed here.
    preClose: (done) => done(),
  })
  app.get('/ws', { websocket: true, preValidation: handshake(options) }, (ws, request) => {
    const peer = peerOf(request)
    const transport = new WebSocketTransport(ws, letGo(ws, request.raw.socket), options.batch)
    transport.listen(options.sessions.open(transport, peer))
  })
  return app
}

/**
 * Cuts the socket loose from the request that opened it: the plugin's error listener and the HTTP response would keep request, reply
 * and headers alive as long as the session, 6 KB of them.
 */
function letGo(ws: WebSocket, socket: Socket): Socket {
  ws.removeAllListeners('error')
  const { _httpMessage: response } = socket as Socket & { _httpMessage?: ServerResponse | null }
  response?.detachSocket(socket)
  return socket
}
