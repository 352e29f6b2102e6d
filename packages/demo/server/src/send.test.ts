import { createDecoder } from 'fast-jwt'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { postJson, type RunningServer, startApi, startDemo } from './demo-server.test.fixture.ts'

const decode = createDecoder()
let api: Awaited<ReturnType<typeof startApi>>
let demo: RunningServer

beforeAll(async () => {
  api = await startApi()
  demo = await startDemo({ notifyApiUrl: api.url })
})
beforeEach(() => void (api.requests.length = 0))
afterAll(() => Promise.all([demo?.close(), api?.close()]))

describe('demo/send', () => {
  test('sends to a member with a service token that the page never sees', async () => {
    const body = { memberId: 7, message: 'hello', redirectPath: '/' }
    const response = await postJson(`${demo.url}/demo/send`, body, { cookie: 'access_token=secret' })
    expect([response.status, await response.json()]).toEqual([201, { notificationId: 1 }])
    expect(api.requests).toMatchObject([{ method: 'POST', url: '/notification/send' }])
    expect(api.requests[0]?.body).toEqual(body)
    expect(api.requests[0]?.headers.cookie).toBeUndefined()
    expect(decode(api.requests[0]?.headers.authorization?.replace('Bearer ', '') ?? '')).toMatchObject({
      scope: 'notification:send notification:broadcast',
    })
  })

  test('broadcasts to all members', async () => {
    await postJson(`${demo.url}/demo/send`, { all: true, message: 'hello', redirectPath: '/' })
    expect(api.requests).toMatchObject([{ url: '/notification/broadcast', body: { message: 'hello', redirectPath: '/' } }])
  })

  test('refuses another Origin with 403', async () => {
    const response = await postJson(`${demo.url}/demo/send`, { memberId: 7 }, { origin: 'https://evil.example' })
    expect(response.status).toBe(403)
    expect(api.requests).toEqual([])
  })

  test('responds with 502 when notify-api is away', async () => {
    const alone = await startDemo()
    const response = await postJson(`${alone.url}/demo/send`, { memberId: 7 })
    expect([response.status, response.headers.get('content-type')]).toEqual([502, 'application/problem+json; charset=utf-8'])
    await alone.close()
  })
})
