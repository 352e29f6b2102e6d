import { localOrigin, memberToken } from '@tidings/local'
import { createDecoder } from 'fast-jwt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { postJson, type RunningServer, startDemo } from './demo-server.test.fixture.ts'

const decode = createDecoder()
let demo: RunningServer
let withoutLogin: RunningServer

beforeAll(async () => {
  demo = await startDemo()
  withoutLogin = await startDemo({ signingSecrets: undefined })
})
afterAll(() => Promise.all([demo?.close(), withoutLogin?.close()]))

const post = (path: string, body: unknown, headers?: Readonly<Record<string, string>>) => postJson(demo.url + path, body, headers)

describe('login', () => {
  test('sets a cookie that is hidden from the page, Lax without Secure on localhost', async () => {
    const response = await post('/login', { memberId: 7 })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ memberId: 7 })
    const cookie = response.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/^access_token=.*; Max-Age=28800; Path=\/; HttpOnly; SameSite=Lax$/)
    expect(decode(cookie.slice('access_token='.length, cookie.indexOf(';')))).toMatchObject({ sub: '7', exp: expect.any(Number) })
  })

  test('refuses an invalid member, another Origin, and a body that a form can send', async () => {
    const refused = await post('/login', { memberId: 0 })
    expect([refused.status, await refused.json()]).toMatchObject([
      400,
      { title: 'Bad Request', status: 400, detail: expect.any(String) },
    ])
    expect((await post('/login', { memberId: 1, admin: true })).status).toBe(400)
    expect((await post('/login', { memberId: 1 }, { origin: 'https://evil.example' })).status).toBe(403)
    expect((await post('/login', { memberId: 1 }, { origin: localOrigin })).status).toBe(200)
    const form = await fetch(`${demo.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: '{"memberId":1}',
    })
    expect(form.status).toBe(415)
  })

  test('ends with logout, which clears the cookie', async () => {
    const response = await post('/logout', {})
    expect(response.status).toBe(204)
    expect(response.headers.get('set-cookie')).toMatch(/^access_token=; Max-Age=0; Path=\/;.* HttpOnly; SameSite=Lax$/)
  })
})

test('whoami returns the member of the cookie, and 204 without a valid one', async () => {
  const cookie = `access_token=${memberToken(7)}`
  const known = await fetch(`${demo.url}/whoami`, { headers: { cookie } })
  expect(await known.json()).toEqual({ memberId: 7, expiresAt: expect.any(Number) })
  expect(known.headers.get('cache-control')).toBe('no-store')
  const unknown = await fetch(`${demo.url}/whoami`)
  expect([unknown.status, unknown.headers.get('cache-control')]).toEqual([204, 'no-store'])
  const expired = `access_token=${memberToken(7, { expiresInSeconds: -60 })}`
  expect((await fetch(`${demo.url}/whoami`, { headers: { cookie: expired } })).status).toBe(204)
})

describe('without signing secrets', () => {
  test('login, logout, send and ask are not served', async () => {
    for (const path of ['/login', '/logout', '/demo/send', '/demo/ask']) {
      expect((await postJson(withoutLogin.url + path, { memberId: 7 })).status).toBe(404)
    }
  })

  test('whoami is served', async () => {
    const cookie = `access_token=${memberToken(7)}`
    expect((await fetch(`${withoutLogin.url}/whoami`, { headers: { cookie } })).status).toBe(200)
  })
})
