import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { fastify } from 'fastify'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startEdge } from './edge.test.fixture.ts'
import { exchange } from './raw-http.test.fixture.ts'

// A stand-in for notify-api that records requests.
const api = fastify()
const requests: { method: string; url: string; headers: IncomingHttpHeaders; body: unknown }[] = []
let apiUrl: string

beforeAll(async () => {
  api.all('/*', ({ method, url, headers, body }, reply) => {
    requests.push({ method, url, headers, body })
    return reply.code(201).send({ notificationId: 1 })
  })
  apiUrl = await api.listen({ host: '127.0.0.1', port: 0 })
})
beforeEach(() => void (requests.length = 0))
afterAll(() => api.close())

describe('the API', () => {
  test('is forwarded with path, query, headers and body', async () => {
    const edge = await startEdge({ NOTIFY_API_URL: apiUrl })
    const response = await fetch(`${edge.url}/notification/send?a=1`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: 'Bearer x',
        'idempotency-key': 'k',
        'x-forwarded-for': '203.0.113.9',
      },
      body: JSON.stringify({ memberId: 7 }),
    })
    expect(response.status).toBe(201)
    expect(requests).toMatchObject([
      {
        method: 'POST',
        url: '/notification/send?a=1',
        headers: { authorization: 'Bearer x', 'idempotency-key': 'k', 'x-forwarded-for': '203.0.113.9, 127.0.0.1' },
        body: { memberId: 7 },
      },
    ])
  })

  test('is forwarded to notify-api also when the target is in absolute form', async () => {
    const edge = await startEdge({ NOTIFY_API_URL: apiUrl })
    const response = await exchange(edge.port, 'GET http://other.example/notification?a=1 HTTP/1.1\r\nHost: edge\r\n\r\n')
    expect(response).toMatch(/^HTTP\/1\.1 201 /)
    expect(requests).toMatchObject([{ method: 'GET', url: '/notification?a=1' }])
  })

  test('is forwarded when the client expects 100 Continue, as curl does before an upload', async () => {
    const edge = await startEdge({ NOTIFY_API_URL: apiUrl })
    const sent = request(`${edge.url}/task/1/stream`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', expect: '100-continue' },
    })
    sent.on('continue', () => sent.end('ab'))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    expect(response.resume().statusCode).toBe(201)
    expect(requests).toMatchObject([{ url: '/task/1/stream', body: 'ab' }])
  })

  test('is forwarded at every path of backends', async () => {
    const edge = await startEdge({ NOTIFY_API_URL: apiUrl })
    const paths = ['/message', '/presence', '/session/revoke']
    for (const path of paths) {
      await fetch(`${edge.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
    }
    expect(requests.map(({ url }) => url)).toEqual(paths)
  })

  test('is 502 when notify-api is away', async () => {
    const edge = await startEdge({})
    const response = await fetch(`${edge.url}/notification`)
    expect([response.status, response.headers.get('content-type')]).toEqual([502, 'application/problem+json; charset=utf-8'])
  })
})
