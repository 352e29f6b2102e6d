import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

const intervalMs = 50
/** Time after which a closing server ends all connections. A response that depends on MySQL or Redis comes sooner. */
const lastResponseMs = 15_000

/** The connections of a server that is about to stop. */
export interface Connections {
  /**
   * Serves on for `delayMs`, in which load balancers learn that the instance is not ready. Every response asks the client to close the
   * connection, so that no client sends a request on one that is being closed.
   */
  drain(delayMs: number): Promise<void>
}

/**
 * Ends idle connections repeatedly while the server closes, and after a while all. A connection whose response was in flight when closing
 * began would stay open for its keep-alive time, more than a minute, and closing waits for it. Node does not count a connection without
 * its first request as idle.
 */
export function openConnections(app: FastifyInstance): Connections {
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  app.addHook('preClose', (done) => {
    const timer = setInterval(() => {
      app.server.closeIdleConnections()
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    }, intervalMs)
    const last = setTimeout(() => app.server.closeAllConnections(), lastResponseMs)
    app.server.once('close', () => {
      clearInterval(timer)
      clearTimeout(last)
    })
    done()
  })
  return {
    async drain(delayMs) {
      for (const socket of sockets) askToClose(responseInFlight(socket))
      app.server.prependListener('request', (_request, response) => askToClose(response))
      await delay(delayMs)
    },
  }
}

function responseInFlight(socket: Socket): ServerResponse | null | undefined {
  const { _httpMessage: response } = socket as Socket & { _httpMessage?: ServerResponse | null }
  return response
}

function askToClose(response: ServerResponse | null | undefined): void {
  if (response && !response.headersSent) response.setHeader('connection', 'close')
}
