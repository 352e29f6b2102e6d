import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Ports before those of the gateways, over which everything goes and which can be cut. */
export class Wire {
  readonly urls: readonly string[]
  /** Upgrades that came so far, refused ones too. */
  attempts = 0
  #down = false
  readonly #servers: readonly Server[]
  readonly #sockets = new Set<Socket>()

  private constructor(servers: readonly Server[]) {
    this.#servers = servers
    this.urls = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  }

  static async open(ports: readonly number[]): Promise<Wire> {
    const servers = ports.map(() => createServer({ pauseOnConnect: true }))
    for (const server of servers) server.listen(0, '127.0.0.1')
    await Promise.all(servers.map((server) => once(server, 'listening')))
    const wire = new Wire(servers)
    servers.forEach((server, at) => server.on('connection', (socket) => wire.#join(socket, ports[at] ?? 0)))
    return wire
  }

  /** Breaks all connections, without a word to either side. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Nothing more comes through on the connections there are, and neither side is told; new ones are let through. */
  silence(): void {
    for (const socket of this.#sockets) socket.unpipe().pause()
  }

  /** Breaks all connections, and lets none through until `up()`. */
  down(): void {
    this.#down = true
    this.cut()
  }

  up(): void {
    this.#down = false
  }

  close(): void {
    for (const server of this.#servers) server.close()
    this.cut()
  }

  #join(client: Socket, port: number): void {
    this.attempts += 1
    if (this.#down) return void client.destroy()
    const gateway = connect({ host: '127.0.0.1', port })
    for (const [socket, other] of [[client, gateway] as const, [gateway, client] as const]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    client.pipe(gateway).pipe(client)
    client.resume()
  }
}
