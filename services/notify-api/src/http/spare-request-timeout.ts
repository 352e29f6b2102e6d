import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Node ends a request whose body takes longer than the server's requestTimeout. Uploads that may take as long as an answer takes are
 * left alone: those whose socket is among `spared`, which bound their own time.
 */
export function spareRequestTimeout(server: Server, spared: { has(socket: Socket): boolean }): void {
  const listeners = server.listeners('clientError') as ((error: Error, socket: Socket) => void)[]
  server.removeAllListeners('clientError')
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && spared.has(socket)) return
    for (const listener of listeners) listener(error, socket)
  })
}
