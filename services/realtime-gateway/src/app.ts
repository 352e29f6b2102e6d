import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import { addRequestId, refuseBrokenRequest, requestIdOf, sendProblem } from '@tidings/chassis'
import { stompVersions, subprotocols } from '@tidings/protocol'
import { type FastifyError, type FastifyInstance, fastify } from 'fastify'
import type { WebSocket } from 'ws'
import type { Sessions } from './session/sessions.ts'
import {
  type Admit,
  admission,
  type AdmissionDeps,
  type HandshakeDeps,
  handshake,
  type Peer,
  peerDecorator,
  peerOf,
} from './socket/handshake.ts'
import { type TransportDeps, WebSocketTransport } from './socket/websocket-transport.ts'

export interface AppDeps extends Omit<AdmissionDeps, 'capacity'>, HandshakeDeps, TransportDeps {
  readonly sessions: Sessions
  readonly maxFrameBytes: number
}

/** How long a close waits for the close frame of the client. The option is newer than the types of `ws`. */
const closing = { closeTimeout: 5_000 } as const
/** A request that is not complete by then is cut off. */
const requestTimeoutMs = 10_000
/** How long the last requests may take when the app closes. Longer than a fetch of the keys of a token. */
const lastRequestsMs = 6_000
/** Smallest bound of one WebSocket message. A message may hold several frames. */
const minMessageBytes = 131_072
/** The bound of one WebSocket message is at least this many frames of MAX_FRAME_BYTES. */
const messageFrames = 2

/** What the route of WebSockets matches, in its usual form. */
const webSocketUrl = /^\/ws(?:\?|$)/

/** Builds the public port: `GET /ws` and nothing else. */
export async function buildApp(deps: AppDeps): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    // The handshake refuses the last requests.
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    requestTimeout: requestTimeoutMs,
    genReqId: requestIdOf,
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, error.statusCode ?? 500, error.message),
    clientErrorHandler: refuseBrokenRequest,
    routerOptions: { ignoreTrailingSlash: false },
  })
  app.addHook('preClose', (done) => {
    const timer = setTimeout(() => app.server.closeAllConnections(), lastRequestsMs)
    app.server.once('close', () => clearTimeout(timer))
    done()
  })
  app.setErrorHandler<FastifyError>((error, _request, reply) => sendProblem(reply, error.statusCode ?? 500))
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, 404))
  addRequestId(app)
  app.decorateRequest<Peer | null>(peerDecorator, null)
  await app.register(fastifyWebsocket, {
    options: {
      ...closing,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: Math.max(minMessageBytes, messageFrames * deps.maxFrameBytes),
      handleProtocols: (offered: ReadonlySet<string>) =>
        stompVersions.map((version) => subprotocols[version]).find((name) => offered.has(name)) ?? false,
    },
    // Sessions are drained before the app closes: no connection is left to close here.
    preClose: (done) => done(),
  })
  app.websocketServer.on('headers', (headers: string[], request: IncomingMessage) => {
    headers.push(`X-Request-Id: ${requestIdOf(request)}`)
  })
  const admit = admission({ ...deps, capacity: deps.sessions })
  /** Results of the requests that take the route. */
  const decided = new WeakMap<IncomingMessage, ReturnType<Admit>>()
  const preValidation = handshake((request, upgrade) => decided.get(request) ?? admit(request, upgrade), deps)
  const open = (ws: WebSocket, socket: Socket, peer: Peer): void => {
    const transport = new WebSocketTransport(ws, socket, deps)
    transport.listen(deps.sessions.open(transport, peer))
  }
  app.get('/ws', { websocket: true, preValidation }, (ws, request) =>
    open(ws, detachFromRequest(ws, request.raw.socket), peerOf(request)),
  )
  // A request that is admitted at once is upgraded without the router, its hooks and a reply, which cost a sixth of a connect. Any other
  // takes the route, which responds with the refusal.
  const { server, websocketServer } = app
  const [route] = server.listeners('upgrade') as ((request: IncomingMessage, socket: Socket, head: Buffer) => void)[]
  server.removeAllListeners('upgrade')
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (request.method === 'GET' && webSocketUrl.test(request.url ?? '')) {
      const result = admit(request, true)
      if (!(result instanceof Promise) && !result.refused) {
        return websocketServer.handleUpgrade(request, socket, head, (ws) => open(ws, socket, result.peer))
      }
      decided.set(request, result)
    }
    route?.(request, socket, head)
  })
  return app
}

/**
 * Detaches the socket from the request that opened it, and returns the socket. The plugin's error listener and the HTTP response would
 * otherwise retain request, reply and headers, 6 KB, for as long as the session lives.
 */
function detachFromRequest(ws: WebSocket, socket: Socket): Socket {
  ws.removeAllListeners('error')
  const { _httpMessage: response } = socket as Socket & { _httpMessage?: ServerResponse | null }
  response?.detachSocket(socket)
  return socket
}
