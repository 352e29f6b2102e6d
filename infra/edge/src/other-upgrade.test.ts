import { type ServiceProcess, startService } from '@tidings/local'
import { fastify } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exchange } from './raw-http.test.fixture.ts'

const api = fastify()
let edge: ServiceProcess

beforeAll(async () => {
  api.post('/notification/send', ({ body }, reply) => reply.code(201).send({ received: body }))
  api.get('/notification', ({ query }) => ({ query }))
  const apiUrl = await api.listen({ host: '127.0.0.1', port: 0 })
  edge = await startService('edge', { GATEWAY_URLS: 'http://127.0.0.1:1', NOTIFY_API_URL: apiUrl })
})
afterAll(async () => {
  await edge.stop()
  await api.close()
})

describe('a WebSocket upgrade of a target that is not /ws', () => {
  test.each([
    ['GET //', 404],
    ['GET //ws', 404],
    ['GET http://[', 400],
    ['GET \\\\', 400],
    ['GET http://', 400],
    ['GET http://edge/other', 404],
    ['GET /%', 400],
    ['GET /ws/', 404],
    ['POST /ws', 404],
    ['OPTIONS *', 404],
  ])('%s is refused with %i, and the edge lives', async (requestLine, status) => {
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    const response = await exchange(edge.port, `${requestLine} HTTP/1.1\r\nHost: edge\r\n${upgrade}\r\n`)
    expect(response.slice(0, response.indexOf('\r\n'))).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect((await fetch(`${edge.url}/live`)).status).toBe(200)
  })

  test.each(['Host:\r\n', 'Host: [\r\n', ''])('with %j is refused with 400 or 404, and the edge lives', async (host) => {
    const response = await exchange(edge.port, `GET // HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
    expect(response).toMatch(/^HTTP\/1\.1 40[04] /)
    expect((await fetch(`${edge.url}/live`)).status).toBe(200)
  })
})

describe('an upgrade to h2c is ignored', () => {
  const h2c = 'Host: edge\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n'
  const body = JSON.stringify({ memberId: 7, message: '새로운 알림' })
  const post = `POST /notification/send HTTP/1.1\r\n${h2c}Content-Type: application/json\r\n`
  const withLength = `${post}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`

  test('and a GET is served over HTTP/1.1', async () => {
    const response = await exchange(edge.port, `GET /notification?limit=1 HTTP/1.1\r\n${h2c}\r\n`)
    expect(response).toMatch(/^HTTP\/1\.1 200 .*\{"query":\{"limit":"1"\}\}$/s)
    expect(await exchange(edge.port, `GET /live HTTP/1.1\r\n${h2c}\r\n`)).toMatch(/^HTTP\/1\.1 200 .*\{"live":true\}$/s)
  })

  test.each([
    ['in one part', [withLength + body]],
    ['after its headers', [withLength, body]],
    ['in two parts', [withLength + body.slice(0, 10), body.slice(10)]],
    [
      'in chunks',
      [`${post}Transfer-Encoding: chunked\r\n\r\n`, `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`, '0\r\n\r\n'],
    ],
  ])('and a POST with its body %s is served over HTTP/1.1', async (_, parts) => {
    const response = await exchange(edge.port, ...parts)
    expect(response).toMatch(/^HTTP\/1\.1 201 /)
    const received = Buffer.from(response.split('\r\n\r\n')[1] ?? '', 'latin1').toString()
    expect(JSON.parse(received)).toEqual({ received: JSON.parse(body) as unknown })
  })
})
