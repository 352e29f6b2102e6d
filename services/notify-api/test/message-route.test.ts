import { serviceToken, waitFor } from '@tidings/local'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

let stack: Stack
let api: NotifyApi
let redis: Redis

beforeAll(async () => {
  stack = await openStack('message_route')
  redis = new Redis(stack.redis.url, { retryStrategy: () => 50, maxRetriesPerRequest: null })
  redis.on('error', () => {})
  api = await stack.start({ PUBLISH_TIMEOUT_MS: '1000' })
})
afterAll(async () => {
  redis?.disconnect()
  await stack.close()
})

const position = (offset: number) => expect.stringMatching(new RegExp(`^\\d{15}-${offset}$`)) as string

const sendToCart = (body: unknown) => api.post('/message', { destination: '/member/queue/cart', memberIds: [8, 7], body })

/** Resolves to the bodies in the history of a channel. */
async function historyOf(channel: string): Promise<unknown[]> {
  const publications = await redis.lrange(`{${channel}}:history`, 0, -1)
  return publications.map((publication) => JSON.parse(publication.slice(publication.indexOf('\n') + 1)) as unknown)
}

describe('POST /message', () => {
  test('publishes any JSON value to a topic, in order, with its position in a bounded history', async () => {
    const gateway = await stack.listen('broadcast:order.17')
    const bodies = [{ state: 'paid' }, null, 'text', 0, [1, { deep: '한글' }]]
    for (const [index, body] of bodies.entries()) {
      const response = await api.post('/message', { destination: '/topic/order.17', body })
      expect([response.status, response.body]).toEqual([202, { position: position(index + 1) }])
    }
    await waitFor(() => gateway.publications.length === bodies.length, { what: 'the publications' })
    expect(gateway.publications.map(({ body }) => body)).toEqual(bodies)
    expect(await historyOf('broadcast:order.17')).toEqual(bodies)
    expect(await redis.ttl('{broadcast:order.17}:history')).toBeGreaterThan(86_000)
    gateway.close()
  })

  test('publishes to a queue of several members, each with its own position, and keeps 100 of them', async () => {
    expect((await sendToCart({ items: 1 })).body).toEqual({
      messages: [
        { memberId: 8, position: position(1) },
        { memberId: 7, position: position(1) },
      ],
    })
    await Promise.all(Array.from({ length: 100 }, (_, at) => sendToCart(at)))
    expect(await historyOf('member:7:cart')).toHaveLength(100)
    expect(await redis.ttl('{member:7:cart}:history')).toBeGreaterThan(86_000)
    expect(await stack.count('notification')).toBe(0)
    expect(await stack.rows("SELECT 1 FROM outbox WHERE channel LIKE '%:cart'")).toEqual([])
  })

  test.each([
    ['/topic/all', undefined, '#/destination'],
    ['/member/queue/notification', [7], '#/destination'],
    ['/member/queue/task.018f', [7], '#/destination'],
    ['/member/queue/cart', undefined, '#/memberIds'],
    ['/topic/order.17', [7], '#/memberIds'],
    ['/member/queue/cart', Array.from({ length: 1_001 }, () => 7), '#/memberIds'],
  ])('refuses %s', async (destination, memberIds, pointer) => {
    const { status, body } = await api.post('/message', { destination, memberIds, body: 1 })
    expect([status, body['errors']]).toEqual([400, [expect.objectContaining({ pointer })]])
  })

  test('refuses a body that is too large for so many members, and a token without the scope', async () => {
    const memberIds = Array.from({ length: 1_000 }, (_, index) => index + 1)
    const large = await api.post('/message', { destination: '/member/queue/cart', memberIds, body: 'x'.repeat(20_000) })
    expect([large.status, large.body['errors']]).toEqual([413, [expect.objectContaining({ pointer: '#/memberIds' })]])
    const authorization = `Bearer ${serviceToken({ scopes: ['notification:send'] })}`
    const other = await api.post('/message', { destination: '/topic/a', body: 1 }, { authorization })
    expect(other.status).toBe(403)
  })

  test('names the member whose channel the ACL of Redis refuses, and publishes to the others', async () => {
    await redis.call('ACL', 'SETUSER', 'api', 'on', '>secret', '~*', '+@all', '&member:7:*', '&gateway:*')
    const restricted = await stack.start({ REDIS_URL: stack.redis.url.replace('redis://', 'redis://api:secret@') })
    const send = (memberIds: readonly number[]) =>
      restricted.post('/message', { destination: '/member/queue/acl', memberIds, body: 1 })
    expect((await send([6, 7, 8])).body).toEqual({
      messages: [
        { memberId: 6, error: 'refused' },
        { memberId: 7, position: position(1) },
        { memberId: 8, error: 'refused' },
      ],
    })
    const { status, body } = await send([6])
    expect([status, body['type']]).toEqual([422, 'https://tidings.dev/problem/channel-refused'])
    expect(await historyOf('member:6:acl')).toEqual([])
    await restricted.kill()
  })
})

describe('POST /presence', () => {
  test('returns for each of a thousand members whether a gateway is subscribed', async () => {
    const gateway = await stack.listen('member:7:notification', 'member:999:notification')
    const memberIds = Array.from({ length: 1_000 }, (_, index) => 1_000 - index)
    const { status, body } = await api.post('/presence', { memberIds })
    const members = body['members'] as { memberId: number; online: boolean }[]
    expect([status, members.map(({ memberId }) => memberId)]).toEqual([200, memberIds])
    expect(members.filter(({ online }) => online).map(({ memberId }) => memberId)).toEqual([999, 7])
    expect((await api.post('/presence', { memberIds: [...memberIds, 7] })).status).toBe(400)
    gateway.close()
  })
})

describe('POST /notification/unread-count', () => {
  test('returns the counts of several members in their order, as each of them reads it', async () => {
    const content = { message: 'hello', redirectPath: '/' }
    await api.send({ ...content, memberIds: [41, 42, 42, 43] })
    await api.post('/notification/broadcast', content)
    await api.member(42).post('/notification/read-all', { upTo: 1_000_000 })
    await api.send({ ...content, memberId: 42 })
    const memberIds = [43, 42, 44, 41, 42, ...Array.from({ length: 200 }, (_, index) => 1_000 + index)]
    const { status, body } = await api.post('/notification/unread-count', { memberIds })
    expect(status).toBe(200)
    const members = body['members'] as { memberId: number }[]
    expect(members.map(({ memberId }) => memberId)).toEqual(memberIds)
    expect(members.slice(0, 4)).toEqual([
      { memberId: 43, unreadCount: 2, unseenCount: 2, revision: 0 },
      { memberId: 42, unreadCount: 1, unseenCount: 1, revision: 1 },
      { memberId: 44, unreadCount: 1, unseenCount: 1, revision: 0 },
      { memberId: 41, unreadCount: 2, unseenCount: 2, revision: 0 },
    ])
    for (const memberId of [41, 42]) {
      const own = await api.member(memberId).get('/notification/unread-count')
      expect(own.body).toEqual(members.find((each) => each.memberId === memberId))
    }
    const authorization = `Bearer ${serviceToken({ scopes: ['notification:send'] })}`
    expect((await api.post('/notification/unread-count', { memberIds }, { authorization })).status).toBe(403)
  })
})

test('messages and presence respond with 503 and Retry-After while Redis does not answer, and nothing was accepted', async () => {
  stack.redis.pause()
  const responses = await Promise.all([
    api.post('/message', { destination: '/topic/away', body: 1 }),
    api.post('/message', { destination: '/member/queue/away', memberIds: [7, 8], body: 1 }),
    api.post('/presence', { memberIds: [7] }),
  ])
  for (const { status, headers, body } of responses) {
    expect([status, headers.get('retry-after'), body['type']]).toEqual([503, '1', 'https://tidings.dev/problem/unavailable'])
  }
  await stack.redis.restart()
  await waitFor(async () => (await api.post('/message', { destination: '/topic/away', body: 2 })).status === 202, {
    what: 'a message to be accepted',
  })
  expect(await historyOf('broadcast:away')).toEqual([2])
})
