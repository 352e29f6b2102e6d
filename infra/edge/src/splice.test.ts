import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { freeServicePort, type ServiceProcess, startService, waitFor } from '@tidings/local'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startEchoGateway } from './gateway.test.fixture.ts'

const running: { stop: () => Promise<unknown> }[] = []
afterEach(async () => {
  for (const each of running.splice(0).toReversed()) await each.stop()
})

async function gateway(name: string, port?: number): Promise<Awaited<ReturnType<typeof startEchoGateway>>> {
  const started = await startEchoGateway(name, port)
  running.push(started)
  return started
}

function edge(...gatewayUrls: string[]): Promise<ServiceProcess> {
  return edgeWith({}, gatewayUrls)
}

async function edgeWith(env: NodeJS.ProcessEnv, gatewayUrls: readonly string[]): Promise<ServiceProcess> {
  const started = await startService('edge', {
    GATEWAY_URLS: gatewayUrls.join(','),
    NOTIFY_API_URL: 'http://127.0.0.1:1',
    ...env,
  })
  running.push(started)
  return started
}

/** Connects and answers the socket with the gateway's greeting. */
async function connected(
  url: string,
  headers = {},
  query = '',
): Promise<{ socket: WebSocket; gateway: string; forwardedFor: string }> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws${query}`, { headers })
  const [greeting] = (await once(socket, 'message')) as [Buffer]
  return { socket, ...(JSON.parse(greeting.toString()) as { gateway: string; forwardedFor: string }) }
}

/** A gateway that answers every request with this text, as one that drains does. */
async function answering(text: string): Promise<string> {
  const server: Server = createServer((socket) => socket.on('error', () => {}).on('data', () => socket.end(text)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  running.push({ stop: async () => server.close() })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

describe('upgrades of /ws', () => {
  test('go to the gateways in turn', async () => {
    const { url } = await edge((await gateway('a')).url, (await gateway('b')).url)
    const names = []
    for (let at = 0; at < 4; at += 1) names.push((await connected(url)).gateway)
    expect(names).toEqual(['a', 'b', 'a', 'b'])
  })

  test.each([
    ['local', ['b', 'b', 'a', 'a']],
    ['off', ['a', 'b', 'a', 'b']],
  ])('with EDGE_LOGIN=%s go to the gateways %j when clients choose', async (login, expected) => {
    const { url } = await edgeWith({ EDGE_LOGIN: login }, [(await gateway('a')).url, (await gateway('b')).url])
    const names = []
    for (const chosen of [1, 7, 0, '1e9']) names.push((await connected(url, {}, `?gateway=${chosen}`)).gateway)
    expect(names).toEqual(expected)
  })

  test('pass over a gateway that is gone', async () => {
    const { url } = await edge('http://127.0.0.1:1', (await gateway('b')).url)
    expect([(await connected(url)).gateway, (await connected(url)).gateway]).toEqual(['b', 'b'])
  })

  test('pass over a gateway that drains', async () => {
    const draining = await answering('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
    const { url } = await edge(draining, (await gateway('b')).url)
    expect([(await connected(url)).gateway, (await connected(url)).gateway]).toEqual(['b', 'b'])
  })

  test('come back to a gateway that was away', async () => {
    const port = await freeServicePort()
    const { url } = await edge(`http://127.0.0.1:${port}`)
    await expect(connected(url)).rejects.toThrow('502')
    await gateway('late', port)
    expect((await connected(url)).gateway).toBe('late')
  })

  test('are refused with 502 when no gateway answers, and with the last 503 when all drain', async () => {
    const none = await edge('http://127.0.0.1:1')
    await expect(connected(none.url)).rejects.toThrow('502')
    const all = await edge(await answering('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'))
    await expect(connected(all.url)).rejects.toThrow('503')
  })

  test('are handed on with the address of the client behind those that came', async () => {
    const { url } = await edge((await gateway('a')).url)
    expect((await connected(url)).forwardedFor).toBe('127.0.0.1')
    expect((await connected(url, { 'X-Forwarded-For': '203.0.113.9' })).forwardedFor).toBe('203.0.113.9, 127.0.0.1')
  })

  test('of another path are refused', async () => {
    const { url } = await edge((await gateway('a')).url)
    const socket = new WebSocket(`${url.replace('http', 'ws')}/other`)
    const [error] = (await once(socket, 'error')) as [Error]
    expect(error.message).toContain('404')
  })
})

describe('a spliced connection', () => {
  test('carries bytes both ways unchanged, however many', async () => {
    const { url } = await edge((await gateway('a')).url)
    const { socket } = await connected(url)
    const sent = randomBytes(8_000_000)
    socket.send(sent)
    const [echoed] = (await once(socket, 'message')) as [Buffer]
    expect(echoed.equals(sent)).toBe(true)
  })

  test('hands on the close code and leaves nothing behind', async () => {
    const { url: gatewayUrl, sockets } = await gateway('a')
    const { url } = await edge(gatewayUrl)
    const { socket } = await connected(url)
    socket.close(4400, 'done')
    const [code] = (await once(socket, 'close')) as [number]
    expect(code).toBe(4400)
    await waitFor(() => sockets() === 0, { what: 'the gateway to have no socket' })
  })

  test('ends at the gateway when the client breaks off', async () => {
    const { url: gatewayUrl, sockets } = await gateway('a')
    const { url } = await edge(gatewayUrl)
    const { socket } = await connected(url)
    expect(sockets()).toBe(1)
    socket.terminate()
    await waitFor(() => sockets() === 0, { what: 'the gateway to have no socket' })
  })

  test('ends at the client when the gateway dies', async () => {
    const { url: gatewayUrl, breakOff } = await gateway('a')
    const { socket } = await connected((await edge(gatewayUrl)).url)
    const closed = once(socket, 'close')
    breakOff()
    await closed
  })

  test('ends at both when the edge stops', async () => {
    const { url: gatewayUrl, sockets } = await gateway('a')
    const entry = await edge(gatewayUrl)
    const { socket } = await connected(entry.url)
    const closed = once(socket, 'close')
    expect(await entry.stop()).toEqual({ code: 0, signal: null })
    await closed
    await waitFor(() => sockets() === 0, { what: 'the gateway to have no socket' })
  })
})
