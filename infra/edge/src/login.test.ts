import type { IncomingHttpHeaders } from 'node:http'
import { localOrigin, memberToken, type ServiceProcess, startService } from '@tidings/local'
import { createDecoder } from 'fast-jwt'
import { fastify } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const decode = createDecoder()
let edge: ServiceProcess
let withoutLogin: ServiceProcess
// Stands in for notify-api: tells what it was asked.
const api = fastify()
const asked: { method: string; url: string; headers: IncomingHttpHeaders; body: unknown }[] = []

beforeAll(async () => {
  api.all('/*', ({ method, url, headers, body }, reply) => {
    asked.push({ method, url, headers, body })
    return reply.code(201).send({ notificationId: 1 })
  })
  const env = {
    GATEWAY_URLS: 'http://127.0.0.1:1',
    NOTIFY_API_URL: await api.listen({ host: '127.0.0.1', port: 0 }),
  }
  edge = await startService('edge', { ...env, EDGE_LOGIN: 'local' })
  withoutLogin = await startService('edge', env)
})
afterAll(async () => {
  await Promise.all([edge?.stop(), withoutLogin?.stop()])
  await api.close()
})

function post(path: string, body: unknown, headers: Record<string, string> = {}, base = edge.url): Promise<Response> {
  return fetch(base + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

describe('login', () => {
  test('sets a cookie that the page cannot read, Lax without Secure on localhost', async () => {
    const response = await post('/login', { memberId: 7 })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ memberId: 7 })
    const cookie = response.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/^access_token=.*; Max-Age=28800; Path=\/; HttpOnly; SameSite=Lax$/)
    expect(decode(cookie.slice('access_token='.length, cookie.indexOf(';')))).toMatchObject({ sub: '7', exp: expect.any(Number) })
  })

  test('refuses what is no member, another Origin, and what a form can send', async () => {
    const refused = await post('/login', { memberId: 0 })
    expect([refused.status, await refused.json()]).toMatchObject([
      400,
      { title: 'Bad Request', status: 400, detail: expect.any(String) },
    ])
    expect((await post('/login', { memberId: 1, admin: true })).status).toBe(400)
    expect((await post('/login', { memberId: 1 }, { origin: 'https://evil.example' })).status).toBe(403)
    expect((await post('/login', { memberId: 1 }, { origin: localOrigin })).status).toBe(200)
    const form = await fetch(`${edge.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: '{"memberId":1}',
    })
    expect(form.status).toBe(415)
  })

  test('is over after logout', async () => {
    const response = await post('/logout', {})
    expect(response.status).toBe(204)
    expect(response.headers.get('set-cookie')).toMatch(/^access_token=; Max-Age=0; Path=\/;.* HttpOnly; SameSite=Lax$/)
  })
})

test('whoami reads the cookie', async () => {
  const cookie = `access_token=${memberToken(7)}`
  const known = await fetch(`${edge.url}/whoami`, { headers: { cookie } })
  expect(await known.json()).toEqual({ memberId: 7, expiresAt: expect.any(Number) })
  expect(known.headers.get('cache-control')).toBe('no-store')
  expect((await fetch(`${edge.url}/whoami`)).status).toBe(401)
  const expired = `access_token=${memberToken(7, { expiresInSeconds: -1 })}`
  expect((await fetch(`${edge.url}/whoami`, { headers: { cookie: expired } })).status).toBe(401)
})

describe('demo/send', () => {
  test('sends to a member with a service token that the page never sees', async () => {
    asked.length = 0
    const body = { memberId: 7, message: 'hello', redirectPath: '/' }
    const response = await post('/demo/send', body, { cookie: 'access_token=secret' })
    expect([response.status, await response.json()]).toEqual([201, { notificationId: 1 }])
    expect(asked).toMatchObject([{ method: 'POST', url: '/notification/send' }])
    expect(asked[0]?.body).toEqual(body)
    expect(asked[0]?.headers.cookie).toBeUndefined()
    expect(decode(asked[0]?.headers.authorization?.replace('Bearer ', '') ?? '')).toMatchObject({
      scope: 'notification:send notification:broadcast',
    })
  })

  test('broadcasts to all', async () => {
    asked.length = 0
    await post('/demo/send', { all: true, message: 'hello', redirectPath: '/' })
    expect(asked).toMatchObject([{ url: '/notification/broadcast', body: { message: 'hello', redirectPath: '/' } }])
  })

  test('refuses another Origin', async () => {
    expect((await post('/demo/send', { memberId: 7 }, { origin: 'https://evil.example' })).status).toBe(403)
  })
})

describe('the API', () => {
  test('is handed on with path, query, headers and body', async () => {
    asked.length = 0
    const headers = { authorization: 'Bearer x', 'idempotency-key': 'k', 'x-forwarded-for': '203.0.113.9' }
    const response = await post('/notification/send?a=1', { memberId: 7 }, headers)
    expect(response.status).toBe(201)
    expect(asked).toMatchObject([
      {
        method: 'POST',
        url: '/notification/send?a=1',
        headers: { authorization: 'Bearer x', 'idempotency-key': 'k', 'x-forwarded-for': '203.0.113.9, 127.0.0.1' },
        body: { memberId: 7 },
      },
    ])
  })

  test('is 502 when notify-api is away', async () => {
    const lonely = await startService('edge', { GATEWAY_URLS: 'http://127.0.0.1:1', NOTIFY_API_URL: 'http://127.0.0.1:1' })
    const response = await fetch(`${lonely.url}/notification`)
    expect([response.status, response.headers.get('content-type')]).toEqual([502, 'application/problem+json; charset=utf-8'])
    await lonely.stop()
  })
})

describe('without EDGE_LOGIN=local', () => {
  test('nobody signs in or sends', async () => {
    for (const path of ['/login', '/logout', '/demo/send']) {
      expect((await post(path, { memberId: 7 }, {}, withoutLogin.url)).status).toBe(404)
    }
  })

  test('whoami still answers', async () => {
    const cookie = `access_token=${memberToken(7)}`
    expect((await fetch(`${withoutLogin.url}/whoami`, { headers: { cookie } })).status).toBe(200)
  })
})

test('a local login is refused in production', async () => {
  const starting = startService('edge', {
    NODE_ENV: 'production',
    EDGE_LOGIN: 'local',
    GATEWAY_URLS: 'http://127.0.0.1:1',
    NOTIFY_API_URL: 'http://127.0.0.1:1',
  })
  await expect(starting).rejects.toThrow(/EDGE_LOGIN: .*not in production/)
})
