import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A process asks for a port before it uses it: none is given twice. */
const given = new Set<number>()

/**
 * A loopback port that was free a moment ago. Below the range from which the system takes ports for outgoing connections, so that
 * a server that is restarted on its port finds it free again and no client connects to itself meanwhile.
 */
export async function freePort(from = 20_000, to = 32_000): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(from, to)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error(`no free port between ${from} and ${to}`)
}

/** One that no database or Redis takes, which find another when somebody was quicker: a service would end. */
export function freeServicePort(): Promise<number> {
  return freePort(10_000, 20_000)
}

/** Whether nothing listens on this port, on any address of the machine. */
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
