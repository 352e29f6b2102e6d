import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Ports returned so far: a port is not in use yet when the next one is requested. */
const returned = new Set<number>()

/**
 * Resolves to a port that was free a moment ago. It lies below the system's range for outgoing connections, so that a server finds its
 * port free after a restart, and no client connects to itself in between.
 */
export async function freePort(from = 20_000, to = 32_000): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(from, to)
    if (returned.has(port) || !(await isFree(port))) continue
    returned.add(port)
    return port
  }
  throw new Error(`no free port between ${from} and ${to}`)
}

/**
 * Resolves to a port from a range that databases and Redis do not use. Those retry with another port when theirs is taken; a service
 * would exit.
 */
export function freeServicePort(): Promise<number> {
  return freePort(10_000, 20_000)
}

/** Resolves to whether the port is free on all addresses of the machine, or on `host`. */
export async function isFree(port: number, host?: string): Promise<boolean> {
  const server = createServer()
  server.listen({ port, host, exclusive: true })
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
