import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { freeServicePort, waitFor } from '@tidings/local'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startEchoGateway, startEdge, startRefusingGateway } from './edge.test.fixture.ts'

const draining = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'

interface Connected {
  readonly socket: WebSocket
  /** Name of the gateway at the other end. */
  readonly gateway: string
  /** Headers of the upgrade as they reached the gateway. */
  readonly headers: IncomingHttpHeaders
}

/** Connects to `/ws` and receives the gateway's greeting. */
async function connect(url: string, headers: Readonly<Record<string, string>> = {}, query = ''): Promise<Connected> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws${query}`, ['v12.stomp'], { headers })
  const [greeting] = (await once(socket, 'message')) as [Buffer]
  return { socket, ...(JSON.parse(greeting.toString()) as Omit<Connected, 'socket'>) }
}

describe('upgrades of /ws', () => {
  test('go to the gateways in rotation', async () => {
    const { url } = await startEdge({}, (await startEchoGateway('a')).url, (await startEchoGateway('b')).url)
    const names = []
    for (let at = 0; at < 4; at += 1) names.push((await connect(url)).gateway)
    expect(names).toEqual(['a', 'b', 'a', 'b'])
  })

  test.each([
    ['local', ['b', 'b', 'a', 'a']],
    ['off', ['a', 'b', 'a', 'b']],
  ])('with EDGE_LOGIN=%s go to the gateways %j when clients name one', async (login, expected) => {
    const { url } = await startEdge({ EDGE_LOGIN: login }, (await startEchoGateway('a')).url, (await startEchoGateway('b')).url)
    const names = []
    for (const chosen of [1, 7, 0, '1e9']) names.push((await connect(url, {}, `?gateway=${chosen}`)).gateway)
    expect(names).toEqual(expected)
  })

  test('skip a gateway that is away', async () => {
    const { url } = await startEdge({}, 'http://127.0.0.1:1', (await startEchoGateway('b')).url)
    expect([(await connect(url)).gateway, (await connect(url)).gateway]).toEqual(['b', 'b'])
  })

  test('skip a gateway that drains', async () => {
    const { url } = await startEdge({}, await startRefusingGateway(draining), (await startEchoGateway('b')).url)
    expect([(await connect(url)).gateway, (await connect(url)).gateway]).toEqual(['b', 'b'])
  })

  test('reach a gateway again after it was away', async () => {
    const port = await freeServicePort()
    const { url } = await startEdge({}, `http://127.0.0.1:${port}`)
    await expect(connect(url)).rejects.toThrow('502')
    await startEchoGateway('late', port)
    expect((await connect(url)).gateway).toBe('late')
  })

  test('are refused with 502 when no gateway responds, and with the last 503 when all drain', async () => {
    const none = await startEdge({}, 'http://127.0.0.1:1')
    await expect(connect(none.url)).rejects.toThrow('502')
    const all = await startEdge({}, await startRefusingGateway(draining))
    await expect(connect(all.url)).rejects.toThrow('503')
  })

  test('are forwarded with the client address appended to X-Forwarded-For', async () => {
    const { url } = await startEdge({}, (await startEchoGateway('a')).url)
    expect((await connect(url)).headers['x-forwarded-for']).toBe('127.0.0.1')
    expect((await connect(url, { 'X-Forwarded-For': '203.0.113.9' })).headers['x-forwarded-for']).toBe('203.0.113.9, 127.0.0.1')
  })

  test('are forwarded with their X-Request-Id, or with a new one', async () => {
    const { url } = await startEdge({}, (await startEchoGateway('a')).url)
    expect((await connect(url, { 'X-Request-Id': 'lb-1' })).headers['x-request-id']).toBe('lb-1')
    expect((await connect(url, { 'X-Request-Id': 'not valid' })).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('that fail cost one log line for each gateway', async () => {
    const edge = await startEdge({}, 'http://127.0.0.1:1', (await startEchoGateway('b')).url)
    const before = edge.logs.length
    for (let at = 0; at < 4; at += 1) await connect(edge.url)
    const reason = 'connect ECONNREFUSED 127.0.0.1:1'
    expect(edge.logs.slice(before).map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 40, server: 'gateway 127.0.0.1:1', reason, failures: 1, requestId: expect.any(String) },
    ])
  })

  test('are forwarded with cookie, Origin and subprotocol unchanged', async () => {
    const { url } = await startEdge({}, (await startEchoGateway('a')).url)
    const { socket, headers } = await connect(url, { Cookie: 'access_token=abc; theme=dark', Origin: 'https://app.example' })
    expect(socket.protocol).toBe('v12.stomp')
    expect(headers).toMatchObject({
      cookie: 'access_token=abc; theme=dark',
      origin: 'https://app.example',
      'sec-websocket-protocol': 'v12.stomp',
      host: new URL(url).host,
    })
  })

  test('of another path are refused with 404', async () => {
    const { url } = await startEdge({}, (await startEchoGateway('a')).url)
    const socket = new WebSocket(`${url.replace('http', 'ws')}/other`)
    const [error] = (await once(socket, 'error')) as [Error]
    expect(error.message).toContain('404')
  })
})

describe('a spliced connection', () => {
  test('forwards 8 MB both ways unchanged', async () => {
    const { url } = await startEdge({}, (await startEchoGateway('a')).url)
    const { socket } = await connect(url)
    const sent = randomBytes(8_000_000)
    socket.send(sent)
    const [echoed] = (await once(socket, 'message')) as [Buffer]
    expect(echoed.equals(sent)).toBe(true)
  })

  test('forwards the close code and leaves no socket behind', async () => {
    const { url: gatewayUrl, sockets } = await startEchoGateway('a')
    const { url } = await startEdge({}, gatewayUrl)
    const { socket } = await connect(url)
    socket.close(4400, 'done')
    const [code] = (await once(socket, 'close')) as [number]
    expect(code).toBe(4400)
    await waitFor(() => sockets() === 0, { what: 'the gateway to have no socket' })
  })

  test('ends at the gateway when the client terminates', async () => {
    const { url: gatewayUrl, sockets } = await startEchoGateway('a')
    const { url } = await startEdge({}, gatewayUrl)
    const { socket } = await connect(url)
    expect(sockets()).toBe(1)
    socket.terminate()
    await waitFor(() => sockets() === 0, { what: 'the gateway to have no socket' })
  })

  test('ends at the client when the gateway dies', async () => {
    const { url: gatewayUrl, terminate } = await startEchoGateway('a')
    const { socket } = await connect((await startEdge({}, gatewayUrl)).url)
    const closed = once(socket, 'close')
    terminate()
    await closed
  })

  test('ends at both when the edge stops', async () => {
    const { url: gatewayUrl, sockets } = await startEchoGateway('a')
    const entry = await startEdge({}, gatewayUrl)
    const { socket } = await connect(entry.url)
    const closed = once(socket, 'close')
    expect(await entry.stop()).toEqual({ code: 0, signal: null })
    await closed
    await waitFor(() => sockets() === 0, { what: 'the gateway to have no socket' })
  })
})
