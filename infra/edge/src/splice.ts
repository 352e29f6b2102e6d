import type { IncomingMessage, Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { problemOf, problemResponse, requestIdOf } from '@tidings/chassis'
import type { Address, Gateways } from './gateways.ts'
import type { UpstreamFailures } from './upstream-failures.ts'

const connectTimeoutMs = 2_000
const responseTimeoutMs = 10_000
const keepAliveMs = 30_000
const gatewayNumber = /^\d{1,9}$/
const serviceUnavailable = /^HTTP\/1\.1 503 /

/**
 * Connects WebSocket upgrades of `/ws` to the gateways in rotation, byte for byte: frames are not parsed. A gateway that cannot be
 * reached, or refuses with 503 because it is draining or full, is skipped. With `gatewayByQuery` a client may name the first gateway to
 * try in `?gateway=<number>`. Every other request with an Upgrade header is served as if it had none. Returns a function that ends all
 * connections.
 */
export function spliceUpgrades(
  server: Server,
  gateways: Gateways,
  failures: UpstreamFailures,
  { gatewayByQuery = false } = {},
): () => void {
  const clients = new Set<Socket>()
  server.on('upgrade', (request: IncomingMessage, client: Socket, head: Buffer) => {
    const target = targetOf(request)
    if (target?.pathname !== '/ws' || !isWebSocketUpgrade(request)) return serveWithoutUpgrade(server, request, client, head)
    clients.add(client)
    client.once('close', () => clients.delete(client))
    client.on('error', () => client.destroy())
    client.setTimeout(0).setNoDelay(true).setKeepAlive(true, keepAliveMs)
    const first = gatewayByQuery ? gatewayNumber.exec(target.searchParams.get('gateway') ?? '')?.[0] : undefined
    const addresses = () => gateways.inTurn(first === undefined ? undefined : Number(first))
    void splice(request, head, client, addresses, failures)
  })
  return () => {
    for (const client of clients) client.destroy()
  }
}

/** Undefined for a target that is no URL, such as `//`. */
function targetOf({ url = '' }: IncomingMessage): URL | undefined {
  const base = 'http://edge'
  return URL.canParse(url, base) ? new URL(url, base) : undefined
}

function isWebSocketUpgrade({ method, headers }: IncomingMessage): boolean {
  const protocols = headers.upgrade?.split(',').map((protocol) => protocol.trim().toLowerCase())
  return method === 'GET' && protocols?.includes('websocket') === true
}

/**
 * Ignores the Upgrade header (RFC 9110 §7.8): puts the request back in front of its body, without that header, and has the server parse
 * the connection anew. Node has detached the connection from its parser by now.
 */
function serveWithoutUpgrade(server: Server, request: IncomingMessage, client: Socket, head: Buffer): void {
  client.unshift(Buffer.concat([Buffer.from(requestHead(request, ['upgrade']), 'latin1'), head]))
  server.emit('connection', client)
}

async function splice(
  request: IncomingMessage,
  head: Buffer,
  client: Socket,
  addresses: () => Promise<readonly Address[]>,
  failures: UpstreamFailures,
): Promise<void> {
  const requestId = requestIdOf(request)
  const requestText = upgradeRequest(request, client, requestId)
  let refusal: UpgradeResponse | undefined
  for (const address of await addresses()) {
    if (client.destroyed) return
    try {
      const response = await requestUpgrade(address, requestText, client)
      refusal?.gateway.destroy()
      if (!serviceUnavailable.test(response.firstBytes.toString('latin1'))) return join(client, head, response)
      refusal = response
    } catch (error) {
      if (!client.destroyed) failures.failed(`gateway ${address.host}:${address.port}`, error, requestId)
    }
  }
  if (client.destroyed) refusal?.gateway.destroy()
  else if (refusal) join(client, head, refusal)
  else client.end(problemResponse(problemOf(502), requestId))
}

interface UpgradeResponse {
  /** Paused, so that nothing after `firstBytes` is lost. */
  readonly gateway: Socket
  /** The status line and whatever arrived with it. */
  readonly firstBytes: Buffer
}

/** Resolves with the beginning of the gateway's response. Rejects when there is none in time, or when the client closes first. */
function requestUpgrade({ host, port }: Address, requestText: string, client: Socket): Promise<UpgradeResponse> {
  return new Promise((resolve, reject) => {
    const gateway = connect({ host, port, allowHalfOpen: true, noDelay: true })
    const fail = (error: Error) => {
      gateway.destroy()
      reject(error)
    }
    const onClientClose = () => fail(new Error('the client closed the connection'))
    client.once('close', onClientClose)
    gateway.setTimeout(connectTimeoutMs, () => fail(new Error('the gateway did not respond in time')))
    gateway.once('connect', () => gateway.setTimeout(responseTimeoutMs).write(requestText, 'latin1'))
    gateway.once('end', () => fail(new Error('the gateway closed the connection without a response')))
    gateway.once('error', fail)
    gateway.once('data', (firstBytes) => {
      gateway.pause()
      gateway.setTimeout(0)
      gateway.removeAllListeners('end')
      client.off('close', onClientClose)
      resolve({ gateway, firstBytes })
    })
  })
}

/** Forwards bytes both ways: `pipe` slows down the faster side and forwards the end of each; an error or a close ends both. */
function join(client: Socket, head: Buffer, { gateway, firstBytes }: UpgradeResponse): void {
  gateway.on('error', () => client.destroy())
  gateway.once('close', () => client.destroySoon())
  client.once('close', () => gateway.destroy())
  client.write(firstBytes)
  if (head.length > 0) gateway.write(head)
  client.pipe(gateway).pipe(client)
}

/** Returns the client's request with its id, and its address added to X-Forwarded-For. */
function upgradeRequest(request: IncomingMessage, client: Socket, requestId: string): string {
  const forwardedFor = [request.headers['x-forwarded-for'], client.remoteAddress].flat().filter(Boolean)
  const added = [`X-Forwarded-For: ${forwardedFor.join(', ')}`, `X-Request-Id: ${requestId}`]
  return requestHead(request, ['x-forwarded-for', 'x-request-id'], added)
}

/** Returns the request line and the headers as the client sent them, less those in `without` (lower case), plus `added`. */
function requestHead(
  { method, url, httpVersion, rawHeaders }: IncomingMessage,
  without: readonly string[],
  added: readonly string[] = [],
): string {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (!without.includes(name.toLowerCase())) lines.push(`${name}: ${rawHeaders[at + 1]}`)
  }
  return [...lines, ...added, '', ''].join('\r\n')
}
