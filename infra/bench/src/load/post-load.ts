import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { timedPath } from './publication.ts'

/** What was measured under load. */
export interface PostResult {
  /** Number of responses. */
  readonly responses: number
  /** Duration of the load, until the last response. */
  readonly seconds: number
  /** Time from each request to its response. */
  readonly latenciesMs: readonly number[]
}

export interface PostOptions {
  /** Origin of the API. */
  readonly url: string
  /** Service token with the scope `notification:send`. */
  readonly token: string
  /** Number of concurrent keep-alive connections. */
  readonly connections: number
  readonly seconds: number
  /** Notifications go to the members 1 to `memberCount`. */
  readonly memberCount: number
  /** Posts per second. By default, each connection sends its next request after the response to the previous one. */
  readonly rate?: number | undefined
  /** Called when all connections are open. */
  readonly beforePosts?: () => Promise<void>
}

const endOfHead = Buffer.from('\r\n\r\n')
const endOfChunks = Buffer.from('0\r\n\r\n')
/** Steps from member to member, so that concurrent posts are for different ones. A prime reaches all of them. */
const memberStride = 7_919
const message = `새로운 알림이 도착했습니다. ${'x'.repeat(150)}`

/**
 * Posts notifications over keep-alive connections. It writes and reads the sockets itself, so that the client takes little CPU time
 * from what is measured.
 *
 * @throws Error when a response is not a 201.
 */
export async function post({
  url,
  token,
  connections,
  seconds,
  memberCount,
  rate,
  beforePosts,
}: PostOptions): Promise<PostResult> {
  const { hostname, port } = new URL(url)
  const open = async () => {
    const socket = connect(Number(port), hostname).setNoDelay(true)
    await once(socket, 'connect')
    return socket
  }
  const sockets = await Promise.all(Array.from({ length: connections }, open))
  await beforePosts?.()
  const latenciesMs: number[] = []
  const startedAt = performance.now()
  const elapsedMs = () => performance.now() - startedAt
  let sent = 0
  /** Returns how long a connection that is free waits for its next post, or undefined at the end. */
  const nextInMs = () => {
    if (elapsedMs() >= seconds * 1_000) return undefined
    return rate ? (sent * 1_000) / rate - elapsedMs() : 0
  }
  const postOnce = async (socket: Socket) => {
    const sentAt = performance.now()
    socket.write(postRequest(token, 1 + ((sent * memberStride) % memberCount)))
    const head = await nextResponse(socket)
    if (!head.startsWith('HTTP/1.1 201')) throw new Error(`expected 201, got ${head}`)
    latenciesMs.push(performance.now() - sentAt)
    // Tomcat closes a connection after 100 requests.
    return !/connection: close/i.test(head)
  }
  const free: Socket[] = []
  await (rate ? runPaced() : Promise.all(sockets.map(runClosedLoop)))
  for (const socket of sockets) socket.destroy()
  return { responses: latenciesMs.length, seconds: elapsedMs() / 1_000, latenciesMs }

  async function runClosedLoop(first: Socket): Promise<void> {
    let socket = first
    while (nextInMs() !== undefined) {
      sent++
      if (await postOnce(socket)) continue
      socket.destroy()
      socket = await open()
      sockets.push(socket)
    }
  }

  /** Sends what is due on connections that are free. */
  async function runPaced(): Promise<void> {
    free.push(...sockets)
    const running = new Set<Promise<void>>()
    let failure: unknown
    for (let waitMs = nextInMs(); waitMs !== undefined; waitMs = nextInMs()) {
      const socket = waitMs <= 0 ? free.pop() : undefined
      if (!socket) {
        await new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.floor(waitMs))))
        if (failure !== undefined) throw failure
        continue
      }
      sent++
      const work: Promise<void> = postOnce(socket)
        .then(async (keepAlive) => {
          if (keepAlive) return free.push(socket)
          socket.destroy()
          const another = await open()
          sockets.push(another)
          return free.push(another)
        })
        .catch((error: unknown) => {
          failure ??= error
        })
        .then(() => void running.delete(work))
      running.add(work)
    }
    await Promise.all(running)
    if (failure !== undefined) throw failure
  }
}

/** Returns the bytes of a `POST /notification/send` as text. */
function postRequest(token: string, memberId: number): string {
  const body = JSON.stringify({ memberId, message, redirectPath: timedPath() })
  return `POST /notification/send HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** Resolves to the head of the next complete response. A connection has one request in flight at a time. */
function nextResponse(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let response: Buffer | undefined
    const settle = (end: () => void) => {
      socket.off('data', onData)
      socket.off('close', onClose)
      socket.off('error', onError)
      end()
    }
    const onClose = () => settle(() => reject(new Error('the connection of a post was closed')))
    const onError = (error: Error) => settle(() => reject(error))
    const onData = (chunk: Buffer) => {
      response = response ? Buffer.concat([response, chunk]) : chunk
      const end = response.indexOf(endOfHead)
      if (end === -1) return
      const head = response.toString('latin1', 0, end)
      const length = /content-length: (\d+)/i.exec(head)?.[1]
      const complete = length ? response.length >= end + endOfHead.length + Number(length) : response.includes(endOfChunks, end)
      if (complete) settle(() => resolve(head))
    }
    socket.on('data', onData)
    socket.on('close', onClose)
    socket.on('error', onError)
  })
}
