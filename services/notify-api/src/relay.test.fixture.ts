import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A port that stays while the server behind it comes and goes on other ports. */
export interface Relay {
  readonly port: number
  /** Undefined: connections are cut, and new ones too. */
  target: number | undefined
  close(): void
}

export async function openRelay(target: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  let port: number | undefined = target
  const server = createServer((socket) => {
    if (port === undefined) return socket.destroy()
    const behind = connect(port, '127.0.0.1')
    for (const one of [socket, behind]) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        socket.destroy()
        behind.destroy()
      })
    }
    return socket.pipe(behind).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get target() {
      return port
    },
    set target(next) {
      port = next
      if (next === undefined) for (const socket of sockets) socket.destroy()
    },
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
