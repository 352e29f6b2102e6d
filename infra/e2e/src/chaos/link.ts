import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A TCP proxy in front of one server, to break the network between it and its clients. */
export interface Link {
  readonly port: number
  /** Closes all connections and refuses new ones. */
  cut(): void
  /** Keeps all connections open and passes nothing on, in either direction; new connections are accepted and stay silent. */
  blackhole(): void
  /** Passes bytes again. Connections from before a blackhole stay dead if `forget` is set, as behind a NAT that dropped its table. */
  restore(options?: { forget?: boolean }): void
  /** Closes all connections and leads new ones to another port. */
  lead(target: number): void
  close(): void
}

export async function openLink(firstTarget: number): Promise<Link> {
  let target = firstTarget
  const pairs = new Set<readonly [Socket, Socket]>()
  let mode: 'open' | 'cut' | 'blackhole' = 'open'
  const server = createServer((client) => {
    if (mode === 'cut') return void client.destroy()
    const upstream = connect(target, '127.0.0.1')
    const pair = [client, upstream] as const
    pairs.add(pair)
    for (const socket of pair) {
      socket.on('error', () => {})
      socket.on('close', () => {
        pairs.delete(pair)
        for (const end of pair) end.destroy()
      })
    }
    client.pipe(upstream).pipe(client)
    if (mode === 'blackhole') for (const socket of pair) socket.pause()
    return undefined
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const destroyAll = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      mode = 'cut'
      destroyAll()
    },
    blackhole() {
      mode = 'blackhole'
      for (const [client, upstream] of pairs) {
        client.unpipe()
        upstream.unpipe()
        client.pause()
        upstream.pause()
      }
    },
    restore({ forget = false } = {}) {
      mode = 'open'
      if (forget) return
      for (const [client, upstream] of pairs) client.pipe(upstream).pipe(client)
    },
    lead(next) {
      target = next
      mode = 'open'
      destroyAll()
    },
    close() {
      server.close()
      destroyAll()
    },
  }
}
