import { serviceToken, waitFor } from '@tidings/local'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { call, hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

let stack: Stack
let api: NotifyApi

beforeAll(async () => {
  stack = await openStack('status')
  api = await stack.start({ PUBLISH_TIMEOUT_MS: '500' })
})
afterAll(() => stack.close())
// Redis resumes also when a test has failed while it was paused.
afterEach(() => stack.redis.resume())

async function sendTo(memberId: number | string): Promise<number> {
  const { status, body } = await api.send({ ...hello, memberId })
  expect(status).toBe(201)
  return body['notificationId'] as number
}

const get = (id: number | string) => call(`${api.url}/notification/${id}/status`, { headers: api.bearer })
const list = (...notificationIds: unknown[]) => api.post('/notification/status', { notificationIds })
const untilPublished = (id: number) =>
  waitFor(async () => (await get(id)).body['published'] === true, { what: 'the publication' })

const untouched = { received: false, seen: false, readAt: null, archived: false, push: null, webhook: null }

test.each([7, 'auth0|status'])(
  'a notification of %s is published, received, seen, read, archived and deleted',
  async (memberId) => {
    const id = await sendTo(memberId)
    await untilPublished(id)
    const status = async () => (await get(id)).body
    const createdAt = expect.stringMatching(/^20\d\d-.*Z$/)
    const before = { notificationId: id, memberId, createdAt, published: true, ...untouched }
    expect(await status()).toEqual(before)
    const device = api.member(memberId)
    expect(await device.post('/notification/received', { notificationIds: [id] })).toMatchObject({ status: 204 })
    expect(await status()).toEqual({ ...before, received: true })
    await device.post('/notification/seen', { upTo: id })
    expect(await status()).toEqual({ ...before, received: true, seen: true })
    await device.post(`/notification/${id}/read`)
    await device.post(`/notification/${id}/archive`)
    expect(await status()).toEqual({ ...before, received: true, seen: true, readAt: createdAt, archived: true })
    await device.delete(`/notification/${id}`)
    expect(await get(id)).toMatchObject({ status: 404, body: { type: 'https://tidings.dev/problem/not-found' } })
  },
)

test('what was read without a report of its device was also received and seen', async () => {
  const id = await sendTo(8)
  await api.member(8).post(`/notification/${id}/read`)
  expect((await get(id)).body).toMatchObject({ received: true, seen: true, readAt: expect.any(String) })
})

test('several are returned in the order of the call, each once; broadcasts and what is not stored are unknown', async () => {
  const [a, b] = [await sendTo(9), await sendTo('auth0|status')]
  const { body } = await api.post('/notification/broadcast', { message: 'all' })
  const broadcast = body['notificationId'] as number
  await Promise.all([untilPublished(a), untilPublished(b)])
  const { status, body: found } = await list(b, 999_999_999, a, broadcast, b)
  expect(status).toBe(200)
  expect(found).toEqual({ notifications: [(await get(b)).body, (await get(a)).body], unknown: [999_999_999, broadcast] })
  expect(await get(broadcast)).toMatchObject({ status: 404 })
})

test('while Redis is away, what was sent is not published, also when it waits behind others; then it is', async () => {
  stack.redis.pause()
  const ids = [await sendTo(10), await sendTo('auth0|status'), await sendTo(10)]
  const published = async () =>
    ((await list(...ids)).body['notifications'] as { published: boolean }[]).map((each) => each.published)
  expect(await published()).toEqual([false, false, false])
  stack.redis.resume()
  await waitFor(async () => (await published()).every(Boolean), { what: 'the publications' })
})

test('a thousand ids are asked for at once; none, more, or another scope are refused', async () => {
  const ids = Array.from({ length: 1_000 }, (_, index) => Number.MAX_SAFE_INTEGER - index)
  expect((await list(...ids)).body).toEqual({ notifications: [], unknown: ids })
  for (const refused of [[], [...ids, 1], ['1'], [0], [1.5]]) expect(await list(...refused)).toMatchObject({ status: 400 })
  expect(await get('x')).toMatchObject({ status: 400 })
  const authorization = `Bearer ${serviceToken({ scopes: ['notification:read'] })}`
  expect(await call(`${api.url}/notification/1/status`, { headers: { authorization } })).toMatchObject({ status: 403 })
  expect(await api.post('/notification/status', { notificationIds: [1] }, { authorization })).toMatchObject({ status: 403 })
})
