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
  /** From an answer to the next request of its connection. */
  readonly pauseMs?: number
}

const endOfHead = Buffer.from('\r\n\r\n')

/** Posts notifications over keep-alive connections, each sending its next after it has its answer. A client that costs little itself. */
export async function load({
  url,
  token,
  connections,
  seconds,
  requests = Number.POSITIVE_INFINITY,
  pauseMs = 0,
}: LoadOptions): Promise<Load> {
  const { hostname, port } = new URL(url)
  const sockets = Array.from({ length: connections }, () => connect(Number(port), hostname).setNoDelay(true))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  const latencies: number[] = []
  const begin = performance.now()
  let sent = 0
  const one = (socket: Socket, connection: number) =>
    new Promise<void>((resolve, reject) => {
      let sentAt = 0
      const next = () => {
        if (performance.now() - begin >= seconds * 1_000 || sent >= requests) return resolve()
        sentAt = performance.now()
        socket.write(post(token, 1 + ((connection * 7_919 + sent++) % 10_000)))
      }
      socket.on('error', reject)
      onAnswer(socket, (head) => {
        if (!head.startsWith('HTTP/1.1 201')) return reject(new Error(`expected 201, got ${head}`))
        latencies.push(performance.now() - sentAt)
        if (pauseMs > 0) setTimeout(next, pauseMs)
        else next()
      })
      next()
    })
  await Promise.all(sockets.map(one))
  for (const socket of sockets) socket.destroy()
  return { answers: latencies.length, seconds: (performance.now() - begin) / 1_000, latencies }
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function post(token: string, memberId: number): string {
  const body = JSON.stringify({ memberId, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' })
  return `POST /notification/send HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** Told the head of each whole answer. */
function onAnswer(socket: Socket, answered: (head: string) => void): void {
  let held: Buffer | undefined
  socket.on('data', (chunk: Buffer) => {
    const answer = held ? Buffer.concat([held, chunk]) : chunk
    const end = answer.indexOf(endOfHead)
    const head = end === -1 ? '' : answer.toString('latin1', 0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
    held = answer.length >= end + endOfHead.length + length ? undefined : answer
    if (!held) answered(head)
  })
}
