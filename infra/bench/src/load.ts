import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Load {
  readonly answers: number
  readonly seconds: number
  /** Of each answer, in ms. */
  readonly latencies: readonly number[]
}

export interface LoadOptions {
  readonly url: string
  readonly token: string
  readonly connections: number
  /** Ends when either is reached. */
  readonly seconds: number
  readonly requests?: number
}

const endOfHead = Buffer.from('\r\n\r\n')

/** Posts notifications over keep-alive connections, each sending its next when it has its answer. A client that costs little itself. */
export async function load({
  url,
  token,
  connections,
  seconds,
  requests = Number.POSITIVE_INFINITY,
}: LoadOptions): Promise<Load> {
  const { hostname, port } = new URL(url)
  const sockets = Array.from({ length: connections }, () => connect(Number(port), hostname).setNoDelay(true))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  const latencies: number[] = []
  const begin = performance.now()
  let sent = 0
  await Promise.all(
    sockets.map(async (socket, connection) => {
      const answers = answersOf(socket)
      while (performance.now() - begin < seconds * 1_000 && sent < requests) {
        const sentAt = performance.now()
        socket.write(post(token, 1 + ((connection * 7_919 + sent++) % 10_000)))
        const { value } = await answers.next()
        if (!value?.startsWith('HTTP/1.1 201')) throw new Error(`expected 201, got ${value}`)
        latencies.push(performance.now() - sentAt)
      }
      socket.destroy()
    }),
  )
  return { answers: latencies.length, seconds: (performance.now() - begin) / 1_000, latencies }
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function post(token: string, memberId: number): string {
  const body = JSON.stringify({ memberId, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' })
  return `POST /notification/send HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** The heads of whole answers, one at a time. */
async function* answersOf(socket: Socket): AsyncGenerator<string, undefined> {
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of socket) {
    held = held.length === 0 ? (chunk as Buffer) : Buffer.concat([held, chunk as Buffer])
    const end = held.indexOf(endOfHead)
    if (end === -1) continue
    const head = held.toString('latin1', 0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
    if (held.length < end + 4 + length) continue
    held = held.subarray(end + 4 + length)
    yield head
  }
  return undefined
}
