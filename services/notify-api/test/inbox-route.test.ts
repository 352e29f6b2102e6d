import { localOrigin, memberToken, openLateNotification, serviceToken, waitFor } from '@tidings/local'
import type { InboxPage, ReadMessage } from '@tidings/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { call, hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

let stack: Stack
let api: NotifyApi
let other: NotifyApi

beforeAll(async () => {
  stack = await openStack('inbox_route')
  ;[api, other] = await Promise.all([stack.start(), stack.start()])
})
afterAll(() => stack.close())

async function page(memberId: number, query = ''): Promise<InboxPage> {
  const { status, text } = await api.member(memberId).get(`/notification${query}`)
  expect(status).toBe(200)
  return JSON.parse(text) as InboxPage
}

async function sendTo(memberId: number, count = 1): Promise<number[]> {
  const ids: number[] = []
  for (let index = 0; index < count; index++) ids.push((await api.send({ ...hello, memberId })).body['notificationId'] as number)
  return ids
}

async function broadcast(): Promise<number> {
  return (await api.post('/notification/broadcast', { message: 'all', redirectPath: '/' })).body['notificationId'] as number
}

/** Listens to the events of a member, as its devices receive them. */
async function devices(memberId: number) {
  const listener = await stack.listen(`member:${memberId}:read`)
  return { events: () => listener.publications.map(({ body }) => body as unknown as ReadMessage), close: () => listener.close() }
}

describe('GET /notification', () => {
  test('pages from the newest to the oldest, and neither skips nor repeats while more is added', async () => {
    const ids = await sendTo(101, 10)
    const bulletin = await broadcast()
    ids.push(bulletin, ...(await sendTo(101, 4)))
    const seen: number[] = []
    let cursor: number | null = null
    do {
      const { memberId, items, nextCursor }: InboxPage = await page(101, `?limit=4${cursor === null ? '' : `&before=${cursor}`}`)
      expect(memberId).toBe(101)
      seen.push(...items.map(({ notificationId }) => notificationId))
      cursor = nextCursor
      await sendTo(101)
    } while (cursor !== null)
    expect(seen).toEqual(ids.toReversed())
    expect((await page(101, '?limit=1')).items[0]?.notificationId).toBeGreaterThan(ids.at(-1) ?? 0)
  })

  test('ends exactly at a page boundary', async () => {
    const member = 102
    await sendTo(member, 3)
    const total = (await page(member, '?limit=100')).items.length
    expect((await page(member, `?limit=${total}`)).nextCursor).toBeNull()
  })

  test('unread=true omits read notifications and read broadcasts', async () => {
    const [first, second] = (await sendTo(103, 2)) as [number, number]
    const bulletin = await broadcast()
    await api.member(103).post(`/notification/${first}/read`)
    await api.member(103).post(`/notification/${bulletin}/read`)
    const unread = (await page(103, '?unread=true&limit=100')).items.map(({ notificationId }) => notificationId)
    expect(unread).toContain(second)
    expect(unread).not.toContain(first)
    expect(unread).not.toContain(bulletin)
    expect((await page(103, '?limit=100')).items.find(({ notificationId }) => notificationId === bulletin)?.readAt).not.toBeNull()
  })

  test('returns no notification of another member', async () => {
    await sendTo(104)
    expect((await page(105, '?limit=100')).items.filter(({ memberId }) => memberId !== undefined)).toEqual([])
  })

  test.each([
    ['?limit=0', '#/limit'],
    ['?limit=101', '#/limit'],
    ['?limit=x', '#/limit'],
    ['?before=-1', '#/before'],
    ['?before=1.5', '#/before'],
    ['?before=9007199254740993', '#/before'],
    ['?unread=maybe', '#/unread'],
    ['?offset=3', '#/offset'],
  ])('refuses %s', async (query, pointer) => {
    const { status, body } = await api.member(1).get(`/notification${query}`)
    expect([status, body['errors']]).toEqual([400, [{ in: 'query', pointer, detail: expect.any(String) }]])
  })
})

describe('read and read-all', () => {
  test('a read is published to all devices with the authoritative count; a repeat changes and publishes nothing', async () => {
    const [first] = (await sendTo(111, 3)) as [number]
    const before = (await api.member(111).get('/notification/unread-count')).body['unreadCount'] as number
    const { events } = await devices(111)
    const { status, body } = await api.member(111).post(`/notification/${first}/read`)
    expect([status, body]).toEqual([200, { unreadCount: before - 1, unseenCount: before - 1, revision: 1 }])
    expect(await other.member(111).post(`/notification/${first}/read`, {})).toMatchObject({ status: 200, body })
    await api.member(111).post('/notification/read-all', { upTo: first })
    await waitFor(() => events().length > 0, { what: 'the event' })
    expect(events()[0]).toEqual({
      memberId: 111,
      notificationIds: [first],
      readAt: expect.any(String),
      unreadCount: before - 1,
      unseenCount: before - 1,
      revision: 1,
    })
    const item = (await page(111, '?limit=100')).items.find(({ notificationId }) => notificationId === first)
    expect(events()[0]).toMatchObject({ readAt: item?.readAt })
  })

  test('read-all marks own notifications and broadcasts up to one, names them, and leaves newer ones', async () => {
    const own = await sendTo(112, 3)
    const bulletin = await broadcast()
    const [last] = (await sendTo(112)) as [number]
    const { events } = await devices(112)
    const { body } = await api.member(112).post('/notification/read-all', { upTo: last - 1 })
    expect(body['unreadCount']).toBe(1)
    const marked = body['notificationIds'] as number[]
    expect(marked.slice(0, 4)).toEqual([bulletin, ...own.toReversed()])
    await waitFor(() => events().length === 1, { what: 'the event' })
    expect(events()[0]).toMatchObject({ memberId: 112, notificationIds: marked, unreadCount: 1, revision: body['revision'] })
    expect((await page(112, '?unread=true')).items.map(({ notificationId }) => notificationId)).toEqual([last])
    const again = await api.member(112).post('/notification/read-all', { upTo: last - 1 })
    expect(again).toMatchObject({ status: 200, body: { unreadCount: 1, notificationIds: [] } })
  })

  test.each([
    ['personal', 113],
    ['broadcast', 0],
  ])('read-all does not mark what is stored after it, with a smaller id: %s', async (_kind, owner) => {
    const member = 113
    const late = await openLateNotification(stack.databaseUrl, owner)
    const [shown] = (await sendTo(member)) as [number]
    expect(late.notificationId).toBeLessThan(shown)
    const { events } = await devices(member)
    const { body } = await api.member(member).post('/notification/read-all', { upTo: shown })
    await late.commit()
    expect(body).toMatchObject({ unreadCount: 0, notificationIds: expect.arrayContaining([shown]) })
    expect(body['notificationIds']).not.toContain(late.notificationId)
    await waitFor(() => events().length === 1, { what: 'the event' })
    expect(events()[0]).toMatchObject({ notificationIds: body['notificationIds'], unreadCount: 0 })
    expect((await page(member, '?unread=true')).items.map(({ notificationId }) => notificationId)).toEqual([late.notificationId])
    expect((await other.member(member).get('/notification/unread-count')).body['unreadCount']).toBe(1)
    await api.member(member).post(`/notification/${late.notificationId}/read`)
  })

  test('read-all marks more than one event names, in several events', async () => {
    await stack.fill(114, 2_500)
    const { events } = await devices(114)
    const { body } = await api.member(114).post('/notification/read-all', { upTo: Number.MAX_SAFE_INTEGER })
    expect(body['unreadCount']).toBe(0)
    await waitFor(() => events().at(-1)?.unreadCount === 0, { what: 'the last event' })
    const named = events().flatMap((event) => ('notificationIds' in event ? [event.notificationIds] : []))
    expect(named.map(({ length }) => length <= 1_000)).toEqual([true, true, true])
    expect(new Set(named.flat()).size).toBeGreaterThanOrEqual(2_500)
    expect(body['notificationIds']).toEqual(named[0])
  })

  test('a notification of another member and an unknown one are not found', async () => {
    const [id] = (await sendTo(115)) as [number]
    for (const path of [`/notification/${id}/read`, '/notification/9007199254740991/read']) {
      expect(await api.member(116).post(path)).toMatchObject({ status: 404, body: { errors: [{ in: 'path', pointer: '#/id' }] } })
    }
    expect(await api.member(116).post('/notification/x/read')).toMatchObject({
      status: 400,
      body: { errors: [{ in: 'path', pointer: '#/id' }] },
    })
    expect(await api.member(116).post('/notification/read-all', {})).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '#/upTo' }] },
    })
    expect(await api.member(116).post(`/notification/${id}/read`, { x: 1 })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '#/x' }] },
    })
  })

  test('after 100 concurrent reads, read-alls and sends over two instances, the count equals a recount', async () => {
    const member = 117
    const ids = await sendTo(member, 20)
    const { events } = await devices(member)
    const calls = Array.from({ length: 100 }, (_, index) => {
      const instance = index % 2 === 0 ? api : other
      if (index % 10 === 9) return instance.member(member).post('/notification/read-all', { upTo: ids[Math.floor(index / 5)] })
      if (index % 3 === 0) return instance.send({ ...hello, memberId: member })
      return instance.member(member).post(`/notification/${ids[index % ids.length] ?? 0}/read`)
    })
    expect((await Promise.all(calls)).map(({ status }) => status).filter((status) => status !== 200 && status !== 201)).toEqual(
      [],
    )
    const [recount] = await stack.rows<{ unread: number }>(
      `SELECT (SELECT COUNT(*) FROM notification WHERE member_id = ? AND read_at IS NULL)
         + (SELECT COUNT(*) FROM notification WHERE member_id = 0 AND notification_id NOT IN (SELECT notification_id FROM broadcast_read WHERE member_id = ?)) AS unread`,
      [member, member],
    )
    const { body } = await api.member(member).get('/notification/unread-count')
    expect(body['unreadCount']).toBe(recount?.unread)
    // The event with the greatest revision is the valid one, in whichever order the events arrived.
    await sendTo(member)
    const [latest] = (await page(member, '?limit=1')).items
    const { body: last } = await other.member(member).post(`/notification/${latest?.notificationId ?? 0}/read`)
    await waitFor(() => events().some(({ revision }) => revision === last['revision']), { what: 'the last event' })
    const newest = events().toSorted((a, b) => b.revision - a.revision)[0]
    expect(newest).toMatchObject({ revision: last['revision'], unreadCount: recount?.unread })
    expect(new Set(events().map(({ revision }) => revision)).size).toBe(events().length)
  })

  test('one instance publishes events in the order of their revisions', async () => {
    const ids = await sendTo(118, 30)
    const { events } = await devices(118)
    await Promise.all(ids.map((id) => api.member(118).post(`/notification/${id}/read`)))
    await waitFor(() => events().length === 30, { what: '30 events' })
    const revisions = events().map(({ revision }) => revision)
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b))
    const counts = events().map(({ unreadCount }) => unreadCount)
    expect(counts).toEqual(counts.toSorted((a, b) => b - a))
  })
})

const bearer = (expiresInSeconds = 600) => ({ authorization: `Bearer ${memberToken(1, { expiresInSeconds })}` })

describe('a member call', () => {
  const cookie = `access_token=${memberToken(1)}`
  const json = { 'content-type': 'application/json' }
  test.each([
    ['without cookie', { origin: localOrigin, ...json }, 401, 'cookie'],
    ['with a service token', { origin: localOrigin, ...json, authorization: `Bearer ${serviceToken()}` }, 401, 'authorization'],
    ['with an expired Bearer and a valid cookie', { origin: localOrigin, ...json, cookie, ...bearer(-60) }, 401, 'authorization'],
    ['with Bearer from another Origin', { origin: 'https://evil.example', ...json, ...bearer() }, 403, 'origin'],
    ['with Bearer from Origin null', { origin: 'null', ...json, ...bearer() }, 403, 'origin'],
    ['with Bearer and the content type of a form', { 'content-type': 'text/plain', ...bearer() }, 415, 'content-type'],
    ['with Basic and a valid cookie, without Origin', { cookie, ...json, authorization: 'Basic YTpi' }, 403, 'origin'],
    ['with a service token as cookie', { origin: localOrigin, ...json, cookie: `access_token=${serviceToken()}` }, 401, 'cookie'],
    [
      'with an expired cookie',
      { origin: localOrigin, ...json, cookie: `access_token=${memberToken(1, { expiresInSeconds: -60 })}` },
      401,
      'cookie',
    ],
    [
      'with a token whose subject is no member',
      { origin: localOrigin, ...json, cookie: `access_token=${memberToken(1, { claims: { sub: 'a b' } })}` },
      401,
      'cookie',
    ],
    ['without Origin', { cookie, ...json }, 403, 'origin'],
    ['from Origin null', { cookie, ...json, origin: 'null' }, 403, 'origin'],
    ['from another Origin', { cookie, ...json, origin: 'https://evil.example' }, 403, 'origin'],
    [
      'with the content type of a form',
      { cookie, origin: localOrigin, 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'content-type',
    ],
    [
      'with a content type that only contains that of JSON',
      { cookie, origin: localOrigin, 'content-type': 'text/plain;application/json' },
      415,
      'content-type',
    ],
    ['without content type', { cookie, origin: localOrigin }, 415, 'content-type'],
  ])('that changes state is refused: %s', async (_case, headers, status, header) => {
    for (const path of ['/notification/1/read', '/notification/read-all']) {
      const response = await call(`${api.url}${path}`, { method: 'POST', headers })
      expect(response).toMatchObject({ status, body: { errors: [{ in: 'header', pointer: `#/${header}` }] } })
      if (status === 401) expect(response.headers.get('www-authenticate')).toContain('access_token')
    }
  })

  test.each([
    ['with Bearer and no Origin', bearer()],
    ['with Bearer and an allowed Origin', { origin: localOrigin, ...bearer() }],
    [
      'with Bearer beside an expired cookie',
      { cookie: `access_token=${memberToken(1, { expiresInSeconds: -60 })}`, ...bearer() },
    ],
    [
      'with an expired cookie before the valid one',
      { origin: localOrigin, cookie: `access_token=${memberToken(1, { expiresInSeconds: -60 })}; ${cookie}` },
    ],
    ['with a quoted cookie', { origin: localOrigin, cookie: `access_token="${memberToken(1)}"` }],
    ['with the own port of the Origin', { origin: 'http://LOCALHOST:8080', cookie }],
  ])('that changes state is accepted: %s', async (_case, headers) => {
    const response = await call(`${api.url}/notification/read-all`, {
      method: 'POST',
      headers: { ...headers, ...json },
      body: '{"upTo":1}',
    })
    expect(response.status).toBe(200)
  })

  test('that reads takes Bearer, and refuses it with a challenge', async () => {
    expect(await call(`${api.url}/notification`, { headers: bearer() })).toMatchObject({ status: 200 })
    const refused = await call(`${api.url}/notification`, { headers: bearer(-60) })
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      'Bearer realm="tidings", error="invalid_token", error_description="the token has expired", Cookie realm="tidings", cookie-name="access_token"',
    ])
  })

  test('that reads needs the cookie only', async () => {
    expect(await call(`${api.url}/notification`, {})).toMatchObject({ status: 401 })
    expect(await call(`${api.url}/notification`, { headers: { cookie: `a=b; ${cookie}; c=d` } })).toMatchObject({ status: 200 })
  })

  test('is allowed from a page on another allowed Origin', async () => {
    const preflight = await call(`${api.url}/notification/1/read`, {
      method: 'OPTIONS',
      headers: { origin: localOrigin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
    })
    expect(preflight.headers.get('access-control-allow-origin')).toBe(localOrigin)
    expect(preflight.headers.get('access-control-allow-credentials')).toBe('true')
    const strange = await call(`${api.url}/notification`, { headers: { origin: 'https://evil.example', cookie } })
    expect(strange.headers.get('access-control-allow-origin')).toBeNull()
  })
})
