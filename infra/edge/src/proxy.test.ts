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

  test.each([
    ['its own', { 'x-request-id': 'lb-1:2/3' }, /^lb-1:2\/3$/],
    ['a new', {}, /^[0-9a-f-]{36}$/],
  ])('is forwarded with %s X-Request-Id', async (_, headers, expected) => {
    const edge = await startEdge({ NOTIFY_API_URL: apiUrl, EDGE_LOGIN: 'local' })
    const body = JSON.stringify({ memberId: 7 })
    for (const path of ['/message', '/demo/send']) {
      const sent = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body }
      const response = await fetch(`${edge.url}${path}`, sent)
      expect(response.headers.get('x-request-id')).toMatch(expected)
      expect(requests.pop()?.headers['x-request-id']).toBe(response.headers.get('x-request-id'))
    }
  })

  test('is 502 when notify-api is away, which costs one short log line', async () => {
    const edge = await startEdge({ EDGE_LOGIN: 'local' })
    const before = edge.logs.length
    const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"memberId":7}' }
    for (const [path, init] of [
      ['/notification', {}],
      ['/demo/send', post],
      ['/task', post],
    ] as const) {
      const response = await fetch(`${edge.url}${path}`, { ...init, headers: { ...post.headers, 'x-request-id': path } })
      expect([response.status, response.headers.get('content-type')]).toEqual([502, 'application/problem+json; charset=utf-8'])
      expect(await response.json()).toMatchObject({ status: 502, requestId: path })
    }
    expect(edge.logs.slice(before).map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        level: 40,
        time: expect.any(Number) as number,
        service: 'edge',
        pid: edge.pid,
        server: 'notify-api',
        reason: 'connect ECONNREFUSED 127.0.0.1:1',
        failures: 1,
        requestId: '/notification',
        msg: 'a server does not respond',
      },
    ])
  })
})
