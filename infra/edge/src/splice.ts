import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Log } from '@tidings/chassis'
import type { Address, Gateways } from './gateways.ts'
import { problem } from './problem.ts'

const connectTimeoutMs = 2_000
const answerTimeoutMs = 10_000
const keepAliveMs = 30_000
const gatewayNumber = /^\d{1,9}$/
const unavailable = /^HTTP\/1\.1 503 /

/**
 * Hands upgrades of `/ws` to the gateways in turn, as bytes: frames are not looked at. A gateway that cannot be reached, or answers
 * 503 because it is draining, is passed over. With `mayChoose` a client may say with `?gateway=<number>` where to begin. The returned
 * function ends all connections.
 */
export function spliceUpgrades(server: Server, gateways: Gateways, log: Log, { mayChoose = false } = {}): () => void {
  const open = new Set<Socket>()
  server.on('upgrade', (request: IncomingMessage, client: Socket, head: Buffer) => {
    open.add(client)
    client.once('close', () => open.delete(client))
    client.on('error', () => client.destroy())
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://edge')
    if (pathname !== '/ws') return refuse(client, 404)
    const chosen = mayChoose ? gatewayNumber.exec(searchParams.get('gateway') ?? '')?.[0] : undefined
    const inTurn = () => gateways.inTurn(chosen === undefined ? undefined : Number(chosen))
    client.setTimeout(0).setNoDelay(true).setKeepAlive(true, keepAliveMs)
    void splice(requestHead(request, client), head, client, inTurn, log)
  })
  return () => {
    for (const client of open) client.destroy()
  }
}

async function splice(
  requestText: string,
  head: Buffer,
  client: Socket,
  inTurn: () => Promise<readonly Address[]>,
  log: Log,
): Promise<void> {
  let refusal: Answer | undefined
  for (const address of await inTurn()) {
    if (client.destroyed) return
    try {
      const answer = await ask(address, requestText, client)
      if (!unavailable.test(answer.bytes.toString('latin1'))) {
        refusal?.gateway.destroy()
        return join(client, head, answer)
      }
      refusal?.gateway.destroy()
      refusal = answer
    } catch (error) {
      log.warn({ err: error, ...address }, 'gateway passed over')
    }
  }
  if (client.destroyed) refusal?.gateway.destroy()
  else if (refusal) join(client, head, refusal)
  else refuse(client, 502)
}

interface Answer {
  readonly gateway: Socket
  /** What came first: the status line and more. */
  readonly bytes: Buffer
}

/** Sends the request and waits for the beginning of the answer. The socket is paused then, so that nothing after it is lost. */
function ask({ host, port }: Address, requestText: string, client: Socket): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const gateway = connect({ host, port, allowHalfOpen: true, noDelay: true })
    const fail = (error: Error) => {
      gateway.destroy()
      reject(error)
    }
    const gone = () => fail(new Error('the client went away'))
    client.once('close', gone)
    gateway.setTimeout(connectTimeoutMs, () => fail(new Error('the gateway did not answer in time')))
    gateway.once('connect', () => gateway.setTimeout(answerTimeoutMs).write(requestText, 'latin1'))
    gateway.once('end', () => fail(new Error('the gateway closed without an answer')))
    gateway.once('error', fail)
    gateway.once('data', (bytes) => {
      gateway.pause()
      gateway.setTimeout(0)
      gateway.removeAllListeners('end')
      client.off('close', gone)
      resolve({ gateway, bytes })
    })
  })
}

/** From here on bytes only: `pipe` holds back the faster side and hands on the end of each; an error or a close ends both. */
function join(client: Socket, head: Buffer, { gateway, bytes }: Answer): void {
  gateway.on('error', () => client.destroy())
  gateway.once('close', () => client.destroySoon())
  client.once('close', () => gateway.destroy())
  client.write(bytes)
  if (head.length > 0) gateway.write(head)
  client.pipe(gateway).pipe(client)
}

/** The request as it came, with the client's address added (de facto standard X-Forwarded-For). */
function requestHead({ method, url, httpVersion, rawHeaders, headers }: IncomingMessage, client: Socket): string {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== 'x-forwarded-for') lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
  }
  const forwardedFor = [headers['x-forwarded-for'], client.remoteAddress].flat().filter(Boolean)
  return [...lines, `X-Forwarded-For: ${forwardedFor.join(', ')}`, '', ''].join('\r\n')
}

function refuse(client: Socket, status: 404 | 502): void {
  const body = JSON.stringify(problem(status))
  const headers = `Content-Type: application/problem+json\r\nContent-Length: ${body.length}\r\nConnection: close`
  client.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers}\r\n\r\n${body}`)
}
