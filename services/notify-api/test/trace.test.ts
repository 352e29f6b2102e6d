import { memberToken, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call, hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const traceId = '0af7651916cd43dd8448eb211c80319c'
const traced = { traceparent }

let stack: Stack
let api: NotifyApi
const lines: Record<string, unknown>[] = []

beforeAll(async () => {
  stack = await openStack('trace')
  api = await stack.start(
    { PUBLISH_TIMEOUT_MS: '500' },
    { onLine: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  )
})
afterAll(() => stack.close())

const notification = (memberId: number) => ({ ...hello, memberId })
const taskId = 'd9c1c4c4-9d0e-4f3a-8a44-5f4a2c6f1a01'

/** Uploads text to the task as a backend. */
function upload(text: string, headers: Record<string, string> = {}) {
  return call(`${api.url}/task/${taskId}/stream`, {
    method: 'POST',
    headers: { ...api.bearer, 'content-type': 'text/plain', ...headers },
    body: text,
  })
}

/** Fields of every line. */
const everyLine = new Set(['level', 'time', 'pid', 'service', 'msg'])

/** Returns the audit line of a request, without the fields of every line. */
async function auditOf(requestId: string) {
  const line = await waitFor(() => lines.find((each) => each['msg'] === 'audit' && each['requestId'] === requestId), {
    what: `the line of ${requestId}`,
  })
  return Object.fromEntries(Object.entries(line).filter(([name]) => !everyLine.has(name)))
}

test('every publication that a backend causes carries its traceparent', async () => {
  const channels = ['notification', 'task', 'cart', `task.${taskId}`].map((name) => `member:1:${name}`)
  const listener = await stack.listen(...channels, 'broadcast:all', 'broadcast:order.1')
  await api.send(notification(1), traced)
  await api.post('/notification/broadcast', { message: 'hello', redirectPath: '/' }, traced)
  await api.post('/message', { destination: '/member/queue/cart', memberIds: [1], body: 0 }, traced)
  await api.post('/message', { destination: '/topic/order.1', body: { n: 1 } }, traced)
  await api.post('/task', { taskId, memberId: 1, kind: 'chat' }, traced)
  await api.post(`/task/${taskId}/event`, { type: 'progress', percent: 1 }, traced)
  await upload('hello', traced)
  const end = { status: 'succeeded', notify: { message: 'done', redirectPath: '/' } }
  await api.post(`/task/${taskId}/finish`, end, traced)
  const of = (channel: string) => listener.publications.filter((each) => each.channel === channel)
  await waitFor(() => of(`member:1:task.${taskId}`).length === 4 && of('member:1:notification').length === 2, {
    what: 'all publications',
  })
  expect(new Set(listener.publications.map(({ channel }) => channel)).size).toBe(6)
  expect(listener.publications.filter((each) => each.traceparent !== traceparent)).toEqual([])
  // The text and the data of the task are read from its history, whose publications have the trace, too.
  expect((await api.member(1).get(`/task/${taskId}`)).body).toMatchObject({ text: 'hello', status: 'succeeded', percent: 1 })
  listener.close()
})

test('in one group, each notification has the trace of its own request; one that is not valid is ignored', async () => {
  const listener = await stack.listen('member:2:notification', 'member:3:notification', 'member:4:notification')
  const unlock = await stack.lockTable('notification')
  const posts = [
    api.send(notification(2), traced),
    api.send(notification(3)),
    api.send(notification(4), { traceparent: traceparent.toUpperCase() }),
    api.send({ ...hello, memberId: undefined, memberIds: [2, 3] }, { traceparent: traceparent.replace('01', '00') }),
  ]
  await unlock()
  for (const post of posts) expect(await post).toMatchObject({ status: 201 })
  await waitFor(() => listener.publications.length === 5, { what: 'all publications' })
  const tracesOf = (memberId: number) =>
    new Set(listener.publications.filter(({ channel }) => channel.includes(`:${memberId}:`)).map((each) => each.traceparent))
  const second = traceparent.replace('01', '00')
  expect([tracesOf(2), tracesOf(3), tracesOf(4)]).toEqual([
    new Set([second, traceparent]),
    new Set([second, undefined]),
    new Set([undefined]),
  ])
  listener.close()
})

const outboxEmptied = () =>
  waitFor(async () => (await stack.count('outbox')) === 0, { what: 'the outbox to be empty', deadlineMs: 20_000 })

test('a publication that waits in the outbox keeps its trace', async () => {
  const listener = await stack.listen('member:5:notification')
  // What was published before.
  await outboxEmptied()
  stack.redis.pause()
  expect(await api.send(notification(5), traced)).toMatchObject({ status: 201, body: { online: null } })
  expect(await api.send(notification(5))).toMatchObject({ status: 201, body: { online: null } })
  expect(await stack.rows('SELECT channel, body FROM outbox ORDER BY outbox_id')).toEqual([
    { channel: null, body: traceparent },
    { channel: null, body: null },
  ])
  stack.redis.resume()
  // The first may come twice: Redis also executes the command that has timed out.
  const traces = () => new Map(listener.publications.map(({ body, traceparent: trace }) => [body['notificationId'], trace]))
  await waitFor(() => traces().size === 2, { what: 'both publications', deadlineMs: 20_000 })
  expect([...traces().values()]).toEqual([traceparent, undefined])
  await outboxEmptied()
  expect([...traces().values()]).toEqual([traceparent, undefined])
  listener.close()
})

test('each call of a backend that changes state has one line: who, what, how many; never a text', async () => {
  const headers = { ...traced, 'x-request-id': 'line-1' }
  const secret = 'the text of a message'
  const caller = 'service:local'
  const line = { caller, requestId: 'line-1', traceId }
  const tasks = { id: 'd9c1c4c4-9d0e-4f3a-8a44-5f4a2c6f1a02', other: 'd9c1c4c4-9d0e-4f3a-8a44-5f4a2c6f1a03' }
  const expectLine = async (response: Promise<{ status: number }>, expected: Record<string, unknown>) => {
    const { status } = await response
    expect(await auditOf('line-1')).toEqual({ ...line, status, ...expected })
    lines.splice(0)
  }
  lines.splice(0)
  const id = expect.any(Number) as number
  const call1 = '/notification/send'
  await expectLine(api.send({ ...notification(6), message: secret }, headers), { call: call1, members: 1, notificationId: id })
  const several = { memberIds: [6, 7], message: secret, redirectPath: '/' }
  const keyed = { ...headers, 'idempotency-key': 'k' }
  await expectLine(api.send(several, keyed), { call: call1, members: 2, notificationId: id })
  await expectLine(api.send(several, keyed), { call: call1, members: 2, notificationId: id, replayed: true })
  const call2 = '/notification/broadcast'
  await expectLine(api.post(call2, { message: secret, redirectPath: '/' }, headers), { call: call2, notificationId: id })
  const destination = '/member/queue/cart'
  const message = { destination, memberIds: [6, 7], body: secret }
  await expectLine(api.post('/message', message, headers), { call: '/message', destination, members: 2, accepted: 2 })
  const task = { taskId: tasks.id, memberId: 6, kind: 'chat', title: secret }
  const created = { call: '/task', taskId: tasks.id, memberId: 6, taskStatus: 'queued' }
  await expectLine(api.post('/task', task, headers), created)
  await api.post(`/task/${tasks.id}/event`, { type: 'append', text: secret }, headers)
  const stream = call(`${api.url}/task/${tasks.id}/stream`, {
    method: 'POST',
    headers: { ...api.bearer, ...headers, 'content-type': 'text/plain' },
    body: secret,
  })
  await expectLine(stream, { call: '/task/:id/stream', taskId: tasks.id, textBytes: 2 * secret.length })
  const finish = api.post(`/task/${tasks.id}/finish`, { status: 'failed', error: secret }, headers)
  await expectLine(finish, { call: '/task/:id/finish', taskId: tasks.id, taskStatus: 'failed' })
  const revoke = api.post('/session/revoke', { memberId: 6 }, headers)
  await expectLine(revoke, { call: '/session/revoke', memberId: 6 })
  const cancel = call(`${api.url}/task/${tasks.other}/cancel`, {
    method: 'POST',
    headers: { ...headers, authorization: `Bearer ${memberToken(8)}`, 'content-type': 'application/json' },
  })
  const cancelled = { call: '/task/:id/cancel', taskId: tasks.other, taskStatus: 'cancelled', caller: 'member:8' }
  await expectLine(cancel, cancelled)
  expect(JSON.stringify(lines)).not.toContain(secret)
})

test('a call that changes nothing has no line', async () => {
  lines.splice(0)
  await api.send({}, traced)
  await api.send(hello, { authorization: 'x' })
  await api.post('/presence', { memberIds: [1] })
  await api.member(1).get('/notification')
  await api.send(hello, { 'x-request-id': 'last' })
  await auditOf('last')
  expect(lines.filter(({ msg }) => msg === 'audit')).toHaveLength(1)
})
