import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A relay to a server that can be shut, as the network of a tab that comes back. */
export class Door {
  readonly #server
  readonly #open = new Set<Socket>()
  #shut = false

  constructor(targetPort: number) {
    this.#server = createServer((near) => {
      near.on('error', () => {})
      if (this.#shut) return near.resetAndDestroy()
      const far = connect(targetPort, '127.0.0.1')
      this.#relay(near, far)
      return this.#relay(far, near)
    })
  }

  /** Resolves to the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  /** Resets all connections, and each new one until the time has passed. */
  async shutFor(ms: number): Promise<void> {
    this.#shut = true
    for (const socket of this.#open) socket.resetAndDestroy()
    await delay(ms)
    this.#shut = false
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#open) socket.destroy()
  }

  #relay(from: Socket, to: Socket): void {
    this.#open.add(from)
    from.setNoDelay(true)
    from.on('error', () => {})
    from.on('close', () => {
      this.#open.delete(from)
      to.destroy()
    })
    from.pipe(to)
  }
}
