import { waitFor } from '@tidings/local'
import type { InboxItem, InboxPage } from '@tidings/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

let stack: Stack
let api: NotifyApi
let other: NotifyApi

beforeAll(async () => {
  stack = await openStack('inbox_state')
  ;[api, other] = await Promise.all([stack.start(), stack.start()])
})
afterAll(() => stack.close())

type Body = Record<string, unknown>

async function sendTo(memberId: number | string, fields: Body = {}): Promise<number> {
  const { status, body } = await api.send({ ...hello, memberId, ...fields })
  expect(status).toBe(201)
  return body['notificationId'] as number
}

async function broadcast(fields: Body = {}): Promise<number> {
  const { body } = await api.post('/notification/broadcast', { message: 'all', ...fields })
  return body['notificationId'] as number
}

async function items(memberId: number | string, query = ''): Promise<readonly InboxItem[]> {
  const { text } = await api.member(memberId).get(`/notification?limit=100${query}`)
  return (JSON.parse(text) as InboxPage).items
}

const idsOf = async (memberId: number | string, query = '') =>
  (await items(memberId, query)).map(({ notificationId }) => notificationId)

async function counts(memberId: number | string): Promise<Body> {
  const { memberId: _, revision: __, ...body } = (await api.member(memberId).get('/notification/unread-count')).body
  return body
}

/** Listens to a channel of a member, as its devices do. */
async function devices(...channels: string[]) {
  const { publications } = await stack.listen(...channels)
  return async (count: number): Promise<Body[]> => {
    await waitFor(() => publications.length >= count, { what: `${count} publications` })
    return publications.map(({ body }) => body)
  }
}

test('received marks own notifications, ignores all other ids, and publishes nothing', async () => {
  const [member, stranger] = ['received', 299]
  const ids = [await sendTo(member), await sendTo(member), await sendTo(stranger), await broadcast()] as const
  const { publications } = await stack.listen(`member:${member}:read`)
  const marked = async () => {
    const rows = await stack.rows<{ id: number; received: number }>(
      'SELECT notification_id AS id, received FROM notification WHERE notification_id IN (?)',
      [ids],
    )
    return rows.filter(({ received }) => received === 1).map(({ id }) => id)
  }
  const report = (notificationIds: readonly number[]) => api.member(member).post('/notification/received', { notificationIds })
  const reported = [ids[0], ids[2], ids[3], Number.MAX_SAFE_INTEGER]
  expect(await report(reported)).toMatchObject({ status: 204 })
  expect(await marked()).toEqual([ids[0]])
  // What is marked is neither written nor locked again.
  const unlock = await stack.lockRow('SELECT 1 FROM notification WHERE notification_id = ? FOR UPDATE', [ids[0]])
  const { status } = await report(reported)
  await unlock()
  expect(status).toBe(204)
  expect(await report([ids[1]])).toMatchObject({ status: 204 })
  expect(await marked()).toEqual([ids[0], ids[1]])
  expect((await items(member)).map(({ seen, readAt }) => [seen, readAt])).toEqual([
    [false, null],
    [false, null],
    [false, null],
  ])
  expect(publications).toEqual([])
  for (const notificationIds of [[], Array.from({ length: 101 }, (_, id) => id + 1), [0], ['1']])
    expect(await report(notificationIds as number[])).toMatchObject({ status: 400 })
  await api.delete(`/notification/${ids[3]}`)
})

describe('a change of one notification', () => {
  test('is published with the counts, is idempotent, and moves the notification between the lists', async () => {
    const member = 201
    await counts(member)
    const own = await sendTo(member, { kind: 'order' })
    const all = await broadcast({ kind: 'news' })
    const events = await devices(`member:${member}:read`)
    const device = api.member(member)
    let published = 0
    for (const id of [own, all]) {
      const steps: [path: string, named: string, unread: number, unseen: number][] = [
        ['read', 'notificationIds', 1, 1],
        ['unread', 'unreadIds', 2, 1],
        ['archive', 'archivedIds', 1, 1],
        ['unarchive', 'unarchivedIds', 2, 1],
      ]
      for (const [path, named, unread, unseen] of steps) {
        // Until now, one of the two was neither read nor seen.
        const expected = { unreadCount: unread, unseenCount: id === own ? unseen : 0 }
        const { status, body } = await device.post(`/notification/${id}/${path}`)
        expect([path, status, body]).toEqual([path, 200, { ...expected, revision: expect.any(Number) }])
        expect(await other.member(member).post(`/notification/${id}/${path}`)).toMatchObject({ status: 200, body })
        published += 1
        const event = (await events(published))[published - 1]
        expect(event).toMatchObject({ memberId: member, [named]: [id], ...body })
        expect(await idsOf(member, '&archived=true')).toEqual(path === 'archive' ? [id] : [])
        expect(await idsOf(member)).toEqual(path === 'archive' ? [id === own ? all : own] : [all, own])
      }
      expect((await items(member)).find(({ notificationId }) => notificationId === id)).toMatchObject({
        readAt: null,
        seen: true,
      })
    }
    for (const [index, id] of [own, all].entries()) {
      const { status, body } = await device.delete(`/notification/${id}`)
      expect([status, body]).toMatchObject([200, { unreadCount: 1 - index, unseenCount: 0 }])
      expect((await events(published + 1 + index)).at(-1)).toMatchObject({ removedIds: [id], ...body })
      expect(await device.delete(`/notification/${id}`)).toMatchObject({ status: 200, body })
      expect(await device.post(`/notification/${id}/read`)).toMatchObject({ status: 404 })
    }
    expect(await idsOf(member)).toEqual([])
    // The broadcast is gone for this member only.
    expect(await idsOf(202)).toContain(all)
  })

  test('of another member, and an unknown one, is not found and changes nothing', async () => {
    const id = await sendTo(203)
    for (const path of ['unread', 'archive', 'unarchive']) {
      expect(await api.member(204).post(`/notification/${id}/${path}`)).toMatchObject({ status: 404 })
    }
    await api.member(204).delete(`/notification/${id}`)
    expect(await idsOf(203)).toContain(id)
  })
})

test('seen marks what is stored, names it, and leaves it unread', async () => {
  const member = 205
  await counts(member)
  const [first, second] = [await sendTo(member), await broadcast()]
  const third = await sendTo(member)
  const events = await devices(`member:${member}:read`)
  const { body } = await api.member(member).post('/notification/seen', { upTo: second })
  expect(body).toMatchObject({ notificationIds: expect.arrayContaining([second, first]), unseenCount: 1 })
  expect(await events(1)).toEqual([
    { memberId: member, seenIds: body['notificationIds'], ...(await counts(member)), revision: body['revision'] },
  ])
  const seen = (await items(member)).map((item) => [item.notificationId, item.seen, item.readAt])
  expect(seen.slice(0, 3)).toEqual([
    [third, false, null],
    [second, true, null],
    [first, true, null],
  ])
  expect((await api.member(member).post('/notification/seen', { upTo: second })).body).toMatchObject({ notificationIds: [] })
})

test('lists filter by kind, and one call counts several kinds; read-all of a kind leaves the others', async () => {
  const member = 206
  await counts(member)
  const [order, chat, news] = [
    await sendTo(member, { kind: 'order' }),
    await sendTo(member, { kind: 'chat' }),
    await broadcast({ kind: 'order' }),
  ]
  await sendTo(member)
  expect(await idsOf(member, '&kind=order')).toEqual([news, order])
  expect(await idsOf(member, '&kind=chat&unread=true')).toEqual([chat])
  await api.member(member).post('/notification/seen', { upTo: order })
  const { body } = await api.member(member).get('/notification/unread-count?kinds=order,chat,none')
  expect(body['kinds']).toEqual([
    { kind: 'order', unreadCount: 2, unseenCount: 1 },
    { kind: 'chat', unreadCount: 1, unseenCount: 1 },
    { kind: 'none', unreadCount: 0, unseenCount: 0 },
  ])
  const marked = await api.member(member).post('/notification/read-all', { upTo: Number.MAX_SAFE_INTEGER, kind: 'order' })
  expect(marked.body['notificationIds']).toEqual([news, order])
  expect(await idsOf(member, '&kind=order&unread=true')).toEqual([])
  expect(await idsOf(member, '&unread=true')).toContain(chat)
  for (const [query, pointer] of [
    ['/notification?kind=a%20b', '#/kind'],
    ['/notification/unread-count?kinds=a,,b', '#/kinds/1'],
    [`/notification/unread-count?kinds=${Array.from({ length: 21 }, (_, index) => `k${index}`).join(',')}`, '#/kinds'],
  ] as const) {
    expect(await api.member(member).get(query)).toMatchObject({ status: 400, body: { errors: [{ in: 'query', pointer }] } })
  }
})

test('a notification without a path has none, in the publication and in the inbox', async () => {
  const events = await devices('member:207:notification')
  const { body } = await api.send({ memberId: 207, message: 'no path', kind: 'chat' })
  const id = body['notificationId'] as number
  expect(await events(1)).toEqual([{ memberId: 207, notificationId: id, message: 'no path', kind: 'chat' }])
  const [item] = await items(207)
  expect(item).toEqual({
    memberId: 207,
    notificationId: id,
    message: 'no path',
    kind: 'chat',
    count: 1,
    createdAt: expect.any(String),
    readAt: null,
    seen: false,
    archived: false,
  })
})

describe('a recall', () => {
  test('deletes a notification from the inbox of its member, tells the devices, and is idempotent', async () => {
    const member = 'auth0|recall'
    const id = await sendTo(member)
    const before = await counts(member)
    const events = await devices(`member:${member}:read`)
    expect(await api.delete(`/notification/${id}`)).toMatchObject({ status: 200, body: { recalled: true } })
    const after = { unreadCount: Number(before['unreadCount']) - 1, unseenCount: Number(before['unseenCount']) - 1 }
    expect(await events(1)).toEqual([{ memberId: member, removedIds: [id], ...after, revision: expect.any(Number) }])
    expect(await counts(member)).toEqual(after)
    expect(await other.delete(`/notification/${id}`)).toMatchObject({ status: 200, body: { recalled: false } })
  })

  test('of a broadcast deletes it from all inboxes', async () => {
    const id = await broadcast()
    expect(await idsOf(208)).toContain(id)
    const events = await devices('broadcast:all')
    expect(await api.delete(`/notification/${id}`)).toMatchObject({ body: { recalled: true } })
    expect(await events(1)).toEqual([{ removedIds: [id] }])
    expect(await idsOf(208)).not.toContain(id)
  })
})

const update = (memberId: number, message: string) => api.send({ memberId, message, kind: 'chat', collapseKey: 'chat:7' })

describe('a repeat with a collapse key', () => {
  test('replaces the open one at the top and counts; what was read or archived stays', async () => {
    const member = 211
    await counts(member)
    const { unreadCount: others } = await counts(member)
    const events = await devices(`member:${member}:notification`)
    const ids: number[] = []
    for (const message of ['a', 'b', 'c']) {
      ids.push((await update(member, message)).body['notificationId'] as number)
      await sendTo(member)
    }
    const [first, second, third] = ids as [number, number, number]
    expect((await events(6)).filter(({ kind }) => kind === 'chat')).toEqual([
      { memberId: member, notificationId: first, message: 'a', kind: 'chat' },
      { memberId: member, notificationId: second, replacedId: first, count: 2, message: 'b', kind: 'chat' },
      { memberId: member, notificationId: third, replacedId: second, count: 3, message: 'c', kind: 'chat' },
    ])
    expect((await items(member, '&kind=chat')).map(({ notificationId, count }) => [notificationId, count])).toEqual([[third, 3]])
    expect((await counts(member))['unreadCount']).toBe(Number(others) + 4)
    for (const close of ['read', 'archive']) {
      const [open] = await idsOf(member, '&kind=chat&unread=true')
      await api.member(member).post(`/notification/${open ?? 0}/${close}`)
      const { body } = await update(member, 'again')
      expect((await items(member, '&kind=chat&unread=true')).map(({ notificationId, count }) => [notificationId, count])).toEqual(
        [[body['notificationId'], 1]],
      )
    }
  })

  test('of one member leaves those of others; the same member twice in one send collapses', async () => {
    const { body } = await api.send({ memberIds: [212, 213, 212], message: 'x', collapseKey: 'k', data: { a: "it's" } })
    const [a, b, c] = (body['notifications'] as { notificationId: number }[]).map(({ notificationId }) => notificationId)
    expect(await idsOf(212, '&unread=true')).toContain(c)
    expect(await idsOf(212, '&unread=true')).not.toContain(a)
    expect(await idsOf(213, '&unread=true')).toContain(b)
    expect((await items(212))[0]).toMatchObject({ notificationId: c, count: 2, data: { a: "it's" } })
  })

  test('concurrently over two instances leaves one, which counts all; repeats with an idempotency key count once', async () => {
    const member = 214
    const events = await devices(`member:${member}:notification`)
    const calls = Array.from({ length: 60 }, (_, index) => {
      const from = index % 2 === 0 ? api : other
      const key = { 'idempotency-key': `collapse ${index % 40}` }
      return from.send({ memberId: member, message: `${index % 40}`, kind: 'chat', collapseKey: 'chat:7' }, key)
    })
    for (const { status } of await Promise.all(calls)) expect([201, 409]).toContain(status)
    const open = await items(member, '&kind=chat')
    expect(open.map(({ count }) => count)).toEqual([40])
    const published = await events(40)
    expect(published).toHaveLength(40)
    // Each but the last is replaced by exactly one other.
    const replaced = new Set(published.map(({ replacedId }) => replacedId).filter((id) => id !== undefined))
    expect(replaced.size).toBe(39)
    expect(await stack.rows('SELECT 1 FROM notification WHERE member_id = ?', [member])).toHaveLength(1)
  })

  test('does not delay others: a locked key holds up no send without one', async () => {
    const member = 215
    await update(member, 'a')
    const unlock = await stack.lockRow('SELECT * FROM collapse WHERE member_id = ? FOR UPDATE', [member])
    const waiting = update(member, 'b')
    expect(await api.send({ ...hello, memberId: member })).toMatchObject({ status: 201 })
    await unlock()
    expect(await waiting).toMatchObject({ status: 201 })
  })
})

describe('a notification that expires', () => {
  test('is then neither listed nor counted, and is deleted; devices learn the counts', async () => {
    const member = 221
    await counts(member)
    const events = await devices(`member:${member}:read`, 'broadcast:all')
    const expiresAt = new Date(Date.now() + 1_500).toISOString()
    const before = await counts(member)
    const own = await sendTo(member, { expiresAt })
    const all = await broadcast({ expiresAt })
    await sendTo(member, { expiresAt: new Date(Date.now() + 3_600_000).toISOString() })
    const removed = async () => (await events(1)).filter((body) => 'removedIds' in body)
    await waitFor(async () => (await removed()).length === 2, { what: 'the removals' })
    const after = { unreadCount: Number(before['unreadCount']) + 1, unseenCount: Number(before['unseenCount']) + 1 }
    expect(await removed()).toEqual(
      expect.arrayContaining([{ removedIds: [all] }, expect.objectContaining({ memberId: member, removedIds: [own], ...after })]),
    )
    expect(await counts(member)).toEqual(after)
    expect(await idsOf(member)).not.toContain(own)
    expect(await stack.rows('SELECT 1 FROM notification WHERE notification_id IN (?)', [[own, all]])).toEqual([])
    await waitFor(async () => (await stack.count('notification_expiry')) === 1, { what: 'the rows of the sweep to go' })
  })

  test('in the past is stored and never listed', async () => {
    const id = await sendTo(222, { expiresAt: '2020-01-01T00:00:00Z' })
    expect(await idsOf(222)).not.toContain(id)
  })
})

describe('a member that is first seen', () => {
  test('has the broadcasts of the last days, and keeps them', async () => {
    const [old, recent] = [await broadcast(), await broadcast()]
    await stack.rows(
      'UPDATE notification SET created_at = NOW(3) - INTERVAL 8 DAY WHERE member_id = 0 AND notification_id <= ?',
      [old],
    )
    const asked = await api.post('/notification/unread-count', { memberIds: [231, 'auth0|new'] })
    for (const memberId of [231, 'auth0|new']) {
      const ids = await idsOf(memberId)
      expect(ids).toContain(recent)
      expect(ids).not.toContain(old)
      expect(asked.body['members']).toContainEqual({ memberId, ...(await counts(memberId)), revision: 0 })
    }
    await stack.rows('UPDATE notification SET created_at = NOW(3) - INTERVAL 8 DAY WHERE notification_id = ?', [recent])
    expect(await idsOf(231)).toContain(recent)
    expect(await idsOf(232)).not.toContain(recent)
  })

  test('was seen before, by an older version: it has all', async () => {
    const id = await broadcast()
    await stack.rows('INSERT INTO member_state (member_id, revision) VALUES (233, 1)')
    await stack.rows('UPDATE notification SET created_at = NOW(3) - INTERVAL 8 DAY WHERE notification_id = ?', [id])
    expect(await idsOf(233)).toContain(id)
  })
})
