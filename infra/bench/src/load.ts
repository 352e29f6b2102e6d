import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What was measured under load. */
export interface LoadResult {
  /** Number of responses. */
  readonly responses: number
  /** Duration of the load. */
  readonly seconds: number
  /** Time from each request to its response, in ms. */
  readonly latenciesMs: readonly number[]
}

export interface LoadOptions {
  readonly url: string
  /** Service token with the scope `notification:send`. */
  readonly token: string
  /** Number of concurrent keep-alive connections. */
  readonly connections: number
  /** Maximum duration. The load ends at `seconds` or `maxRequests`, whichever is reached first. */
  readonly seconds: number
  readonly maxRequests?: number
  /** Pause of a connection between a response and its next request. */
  readonly pauseMs?: number
}

const endOfHead = Buffer.from('\r\n\r\n')
/** Notifications go to the members 1 to `memberCount`. */
const memberCount = 10_000
/** A prime distance between the first members of two connections, so that they send to different ones. */
const memberStride = 7_919

/**
 * Posts notifications over keep-alive connections. Each connection sends its next request after the response to the previous one.
 * It writes and reads the sockets itself, so that the client takes little CPU time from what is measured.
 *
 * @throws Error when a response is not a 201.
 */
export async function load({
  url,
  token,
  connections,
  seconds,
  maxRequests = Number.POSITIVE_INFINITY,
  pauseMs = 0,
}: LoadOptions): Promise<LoadResult> {
  const { hostname, port } = new URL(url)
  const sockets = Array.from({ length: connections }, () => connect(Number(port), hostname).setNoDelay(true))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  const latenciesMs: number[] = []
  const startedAt = performance.now()
  let sent = 0
  const runConnection = (socket: Socket, connection: number) =>
    new Promise<void>((resolve, reject) => {
      let sentAt = 0
      const sendNext = () => {
        if (performance.now() - startedAt >= seconds * 1_000 || sent >= maxRequests) return resolve()
        sentAt = performance.now()
        socket.write(postRequest(token, 1 + ((connection * memberStride + sent++) % memberCount)))
      }
      socket.on('error', reject)
      onResponse(socket, (head) => {
        if (!head.startsWith('HTTP/1.1 201')) return reject(new Error(`expected 201, got ${head}`))
        latenciesMs.push(performance.now() - sentAt)
        if (pauseMs > 0) setTimeout(sendNext, pauseMs)
        else sendNext()
      })
      sendNext()
    })
  await Promise.all(sockets.map(runConnection))
  for (const socket of sockets) socket.destroy()
  return { responses: latenciesMs.length, seconds: (performance.now() - startedAt) / 1_000, latenciesMs }
}

/** Returns the upper median, or NaN without values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** Returns the bytes of a `POST /notification/send` as text. */
function postRequest(token: string, memberId: number): string {
  const body = JSON.stringify({ memberId, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' })
  return `POST /notification/send HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** Calls `listener` with the head of each complete response. A connection has one request in flight at a time. */
function onResponse(socket: Socket, listener: (head: string) => void): void {
  /** Bytes of an incomplete response. */
  let incomplete: Buffer | undefined
  socket.on('data', (chunk: Buffer) => {
    const response = incomplete ? Buffer.concat([incomplete, chunk]) : chunk
    const end = response.indexOf(endOfHead)
    const head = end === -1 ? '' : response.toString('latin1', 0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
    incomplete = response.length >= end + endOfHead.length + length ? undefined : response
    if (!incomplete) listener(head)
  })
}
