import { waitFor } from '@tidings/local'
import type { InboxPage, MemberId } from '@tidings/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask, newTaskId, readTask } from './fixture/task.ts'

const { memberId: _, ...content } = hello

let stack: Stack
let api: NotifyApi
let other: NotifyApi

beforeAll(async () => {
  stack = await openStack('member_id')
  const start = () => stack.start({ TASK_LEASE_SECONDS: '2' })
  ;[api, other] = await Promise.all([start(), start()])
})
afterAll(() => stack.close())

async function inbox(memberId: MemberId): Promise<InboxPage['items']> {
  const { status, text } = await api.member(memberId).get('/notification')
  expect(status).toBe(200)
  return (JSON.parse(text) as InboxPage).items
}

// Each pair of them is one member for a database that compares a number with a text, or a text with a number.
const similar = [
  7,
  '007',
  '7.0',
  '+7',
  '7e0',
  '7f3c2a1e-5b7d-4e2f-9a3c-6d1b8e4f7a20',
  '7abc',
  '0',
  'auth0|a1',
  'Auth0|a1',
  '9007199254740992',
]

test('each of several similar ids is a member of its own', async () => {
  const gateway = await stack.listen(...similar.map((id) => `member:${id}:notification`))
  const { status, body } = await api.send({ ...content, memberIds: similar })
  expect(status).toBe(201)
  const sent = body['notifications'] as { notificationId: number; memberId: MemberId; online: boolean }[]
  expect(sent.map(({ memberId, online }) => [memberId, online])).toEqual(similar.map((id) => [id, true]))
  await waitFor(() => gateway.publications.length === similar.length, { what: 'the publications' })
  for (const { memberId, notificationId } of sent) {
    const published = gateway.publications.filter(({ channel }) => channel === `member:${memberId}:notification`)
    expect(published.map((publication) => publication.body)).toEqual([{ ...content, memberId, notificationId }])
    expect(await inbox(memberId)).toMatchObject([{ ...content, memberId, notificationId, readAt: null }])
    expect((await api.member(memberId).post(`/notification/${notificationId}/read`)).body).toEqual({
      unreadCount: 0,
      unseenCount: 0,
      revision: 1,
    })
  }
  expect((await inbox('7f3c')).length).toBe(0)
})

test('a text that reads as an integer is that integer, also in one send and with one idempotency key', async () => {
  const { body } = await api.send({ ...content, memberIds: [17, '17', '017'] })
  const sent = body['notifications'] as { memberId: MemberId }[]
  expect(sent.map(({ memberId }) => memberId)).toEqual([17, 17, '017'])
  expect((await inbox(17)).map(({ memberId }) => memberId)).toEqual([17, 17])
  const once = { 'idempotency-key': 'one member' }
  const first = await api.send({ ...content, memberId: '18' }, once)
  expect(first).toMatchObject({ status: 201, body: { memberId: 18 } })
  const repeated = await api.send({ ...content, memberId: 18 }, once)
  expect([repeated.body, repeated.headers.get('idempotent-replay')]).toEqual([first.body, 'true'])
  expect(await api.post('/session/revoke', { memberId: '18' })).toMatchObject({ status: 202, body: { memberId: 18 } })
})

test('a member with a text id reads notifications and broadcasts', async () => {
  const member = 'google-oauth2|read+all@example'
  // Nothing is stored for this member yet.
  const { body: broadcast } = await api.post('/notification/broadcast', content)
  expect(await inbox(member)).toMatchObject([broadcast])
  const gateway = await stack.listen(`member:${member}:read`)
  const read = await api.member(member).post(`/notification/${broadcast['notificationId'] as number}/read`)
  expect(read.body).toEqual({ unreadCount: 0, unseenCount: 0, revision: 1 })
  expect((await api.member(`${member}2`).get('/notification/unread-count')).body).toEqual({
    memberId: `${member}2`,
    unreadCount: 1,
    unseenCount: 1,
    revision: 0,
  })

  const ids: number[] = []
  for (let count = 0; count < 3; count++)
    ids.push((await api.send({ ...content, memberId: member })).body['notificationId'] as number)
  expect((await api.member(member).get('/notification/unread-count')).body).toEqual({
    memberId: member,
    unreadCount: 3,
    unseenCount: 3,
    revision: 1,
  })
  expect((await api.member(member).post('/notification/read-all', { upTo: ids[1] })).body).toEqual({
    notificationIds: [ids[1], ids[0]],
    unreadCount: 1,
    unseenCount: 1,
    revision: 2,
  })
  const { body: page } = await api.member(member).get('/notification?unread=true&limit=1')
  expect(page['items']).toMatchObject([{ memberId: member, notificationId: ids[2] }])
  await waitFor(() => gateway.publications.length === 2, { what: 'the read events' })
  expect(gateway.publications.map(({ body }) => body)).toEqual([
    {
      memberId: member,
      notificationIds: [broadcast['notificationId']],
      readAt: expect.any(String),
      unreadCount: 0,
      unseenCount: 0,
      revision: 1,
    },
    {
      memberId: member,
      notificationIds: [ids[1], ids[0]],
      readAt: expect.any(String),
      unreadCount: 1,
      unseenCount: 1,
      revision: 2,
    },
  ])
})

test('a task of a member with a text id streams, is stored, is interrupted and is cancelled', async () => {
  const member = 'auth0|task'
  const announcements = await stack.listen(`member:${member}:task`, `member:${member}:notification`)
  const taskId = newTaskId()
  const create = { taskId, memberId: member, kind: 'chat' }
  expect(await api.post('/task', create)).toMatchObject({ status: 201, body: create })
  expect(await other.post('/task', create)).toMatchObject({ status: 200, body: create })
  expect(await api.post('/task', { ...create, memberId: 'auth0|other' })).toMatchObject({ status: 409 })
  const channel = await stack.listen(`member:${member}:task.${taskId}`)
  expect((await other.post(`/task/${taskId}/event`, { type: 'append', text: '답' })).status).toBe(202)
  expect((await api.member(member).get(`/task/${taskId}`)).body).toMatchObject({
    memberId: member,
    status: 'running',
    text: '답',
  })
  expect((await api.member('auth0|other').get(`/task/${taskId}`)).status).toBe(404)
  const notify = { message: '답이 왔습니다', redirectPath: '/chat' }
  expect((await api.post(`/task/${taskId}/finish`, { status: 'succeeded', notify })).status).toBe(200)
  await waitFor(() => announcements.publications.length === 3, { what: 'started, finished and the notification' })
  expect(new Set(announcements.publications.map(({ body }) => body['type'] ?? body['memberId']))).toEqual(
    new Set([member, 'started', 'finished']),
  )
  await waitFor(() => channel.publications.length === 2, { what: 'the events' })
  expect(await inbox(member)).toMatchObject([{ memberId: member, ...notify }, {}])

  // The lease expires, and the channel is that of the member.
  const silent = await createTask(api, member)
  const ended = await stack.listen(`member:${member}:task.${silent}`)
  await waitFor(async () => (await readTask(api, silent))['status'] === 'interrupted', {
    deadlineMs: 20_000,
    what: 'interrupted',
  })
  await waitFor(() => ended.publications.length === 1, { what: 'the end' })

  const early = newTaskId()
  expect((await api.member(member).post(`/task/${early}/cancel`)).status).toBe(200)
  expect((await api.member('auth0|other').post(`/task/${early}/cancel`)).status).toBe(404)
  const { body: tasks } = await api.member(member).get('/task')
  expect((tasks['items'] as { taskId: string }[]).map((item) => item.taskId)).toEqual([silent, taskId])
})

test('new text ids that several instances write at once, in any order, get one number each', async () => {
  const members = Array.from({ length: 20 }, (_unused, index) => `concurrent-${index}`)
  const orders = Array.from({ length: 20 }, (_unused, index) => (index % 2 ? members : members.toReversed()))
  const responses = await Promise.all(
    orders.map((memberIds, index) => (index % 4 < 2 ? api : other).send({ ...content, memberIds })),
  )
  expect(responses.map(({ status }) => status)).toEqual(orders.map(() => 201))
  for (const member of members) {
    expect((await api.member(member).get('/notification/unread-count')).body['unreadCount']).toBe(orders.length + 1)
  }
  expect(await stack.rows("SELECT 1 FROM text_member WHERE text_id LIKE 'concurrent-%'")).toHaveLength(20)
})
