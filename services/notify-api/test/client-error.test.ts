import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { openLog } from '@tidings/chassis'
import { type FastifyInstance, fastify } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { clientErrorHandler } from '../src/http/client-error.ts'

const jsonHead = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'

let app: FastifyInstance

beforeAll(async () => {
  app = fastify({
    requestTimeout: 300,
    http: { connectionsCheckingInterval: 100, headersTimeout: 300 },
    clientErrorHandler: clientErrorHandler(openLog('test', 'fatal'), new WeakSet()),
  })
  app.post('/', () => ({}))
  await app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(() => app.close())

test.each([
  ['a request line that is not HTTP', 'hello\r\n\r\n', 400, 'malformed'],
  ['a header without a name', 'GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n', 400, 'malformed'],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 400, 'malformed'],
  ['a chunk without a size', `${jsonHead}Transfer-Encoding: chunked\r\n\r\nx\r\n`, 400, 'malformed'],
  ['headers over 16 KiB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers-too-large'],
  ['a target over 16 KiB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431, 'headers-too-large'],
  ['headers that do not end', 'GET / HTTP/1.1\r\nHost: x\r\n', 408, 'request-timeout'],
  ['a body that does not end', `${jsonHead}Content-Length: 9\r\n\r\n{`, 408, 'request-timeout'],
])('the response to %s is a problem, and the connection ends', async (_, request, status, problem) => {
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(request)
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  const [statusLine, ...headers] = head.split('\r\n')
  expect(statusLine).toContain(`HTTP/1.1 ${status} `)
  expect(headers).toContain('Content-Type: application/problem+json; charset=utf-8')
  expect(headers).toContain('Connection: close')
  expect(headers).toContain(`Content-Length: ${Buffer.byteLength(body)}`)
  expect(JSON.parse(body)).toMatchObject({ type: `https://tidings.dev/problem/${problem}`, status })
})
