import { memberToken, serviceToken, waitFor } from '@tidings/local'
import { historyKey, maxAppendLength } from '@tidings/protocol'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { call, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask, folded, listenToTask, newTaskId } from './fixture/task.ts'

let stack: Stack
let api: NotifyApi
let other: NotifyApi

beforeAll(async () => {
  stack = await openStack('task_route')
  const env = { MAX_TASK_TEXT_BYTES: '20000', MAX_TASK_DATA_BYTES: '2000', MAX_TASK_EVENTS: '50' }
  ;[api, other] = await Promise.all([stack.start(env), stack.start(env)])
})
afterAll(() => stack.close())

const event = (taskId: string, body: unknown, query = '') => api.post(`/task/${taskId}/event${query}`, body)
const finish = (taskId: string, body: unknown, at = api) => at.post(`/task/${taskId}/finish`, body)
const read = async (taskId: string) => (await api.member(1).get(`/task/${taskId}`)).body

describe('a task', () => {
  test('is published from created to finished, on its channel and in the task queue, and sends its notification', async () => {
    const gateway = await stack.listen('member:1:task', 'member:1:notification')
    const taskId = newTaskId()
    const channel = await listenToTask(stack, 1, taskId)
    const created = await api.post('/task', { taskId, memberId: 1, kind: 'chat', title: '질문' })
    expect([created.status, created.body]).toEqual([
      201,
      { taskId, memberId: 1, kind: 'chat', title: '질문', status: 'queued', leaseSeconds: 30 },
    ])
    expect(await read(taskId)).toMatchObject({ status: 'queued', text: '', data: [], textBytes: 0 })
    const answers = [
      await event(taskId, { type: 'progress', stage: '검색', percent: 10 }),
      await event(taskId, { type: 'append', text: '안녕' }),
      await event(taskId, { type: 'data', data: { sources: [1] } }),
      await event(taskId, { type: 'append', text: ' 👋' }),
    ]
    expect(answers.map(({ status, body }) => [status, body['textBytes']])).toEqual([
      [202, 0],
      [202, 6],
      [202, 6],
      [202, 11],
    ])
    expect(await read(taskId)).toMatchObject({ status: 'running', stage: '검색', percent: 10, text: '안녕 👋', textBytes: 11 })

    const end = { status: 'succeeded', result: { answer: 42 }, notify: { message: '답이 왔습니다', redirectPath: '/chat' } }
    expect(await finish(taskId, end)).toMatchObject({ status: 200, body: { taskId, status: 'succeeded' } })
    // The response may arrive before the publications.
    await waitFor(() => channel.publications.length === 6, { what: 'the publications of the task' })
    expect(folded(channel)).toEqual({
      taskId,
      kind: 'chat',
      title: '질문',
      status: 'succeeded',
      stage: '검색',
      percent: 10,
      text: '안녕 👋',
      data: [{ sources: [1] }],
      result: { answer: 42 },
    })
    expect(channel.publications.map(({ position }) => position?.split('-')[1])).toEqual(['1', '2', '3', '4', '5', '6'])
    await waitFor(() => gateway.publications.length === 3, { what: 'started, finished and the notification' })
    expect(gateway.publications.map(({ body }) => body)).toEqual(
      expect.arrayContaining([
        { type: 'started', taskId, kind: 'chat', title: '질문', status: 'queued' },
        { type: 'finished', taskId, kind: 'chat', title: '질문', status: 'succeeded' },
        { memberId: 1, notificationId: expect.any(Number), message: '답이 왔습니다', redirectPath: '/chat' },
      ]),
    )
    expect(await read(taskId)).toEqual({
      taskId,
      memberId: 1,
      kind: 'chat',
      title: '질문',
      status: 'succeeded',
      stage: '검색',
      percent: 10,
      text: '안녕 👋',
      textBytes: 11,
      data: [{ sources: [1] }],
      result: { answer: 42 },
      createdAt: expect.any(String),
      finishedAt: expect.any(String),
    })
    expect((await api.member(1).get('/notification')).body['items']).toMatchObject([{ message: '답이 왔습니다' }])
  })

  test('that is created twice with the same id is one task; another member or kind is refused', async () => {
    const taskId = newTaskId()
    const make = (more: object) => api.post('/task', { taskId, memberId: 2, kind: 'chat', ...more })
    expect((await Promise.all([make({}), make({}), make({})])).filter(({ status }) => status === 201)).toHaveLength(1)
    const refused = { status: 409, body: { type: 'https://tidings.dev/problem/task-exists' } }
    expect(await make({ memberId: 3 })).toMatchObject(refused)
    expect(await make({ kind: 'export' })).toMatchObject(refused)
  })

  test('is finished once: the same end gets 200 again, another end and events get 409 with the status', async () => {
    const taskId = await createTask(api, 1)
    const channel = await listenToTask(stack, 1, taskId)
    const end = { status: 'failed', error: '모델이 응답하지 않습니다', result: { a: 1, b: [2] } }
    const answers = await Promise.all([finish(taskId, end), finish(taskId, end, other), finish(taskId, end)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    const over = { status: 409, body: { type: 'https://tidings.dev/problem/task-over', status: 409, taskStatus: 'failed' } }
    expect(await finish(taskId, { status: 'succeeded' })).toMatchObject(over)
    expect(await finish(taskId, { ...end, result: { a: 2 } })).toMatchObject(over)
    expect(await event(taskId, { type: 'append', text: 'late' })).toMatchObject(over)
    expect(await api.member(1).post(`/task/${taskId}/cancel`)).toMatchObject(over)
    await waitFor(() => channel.publications.length > 0, { what: 'the end' })
    expect(channel.publications.map(({ body }) => body['type'])).toEqual(['finished'])
  })

  test('that ends during appends stores exactly the text that was published: the other appends are refused', async () => {
    for (let round = 0; round < 10; round++) {
      const taskId = newTaskId()
      const channel = await listenToTask(stack, 1, taskId)
      await createTask(api, 1, { taskId })
      const appends = Array.from({ length: 8 }, (_, index) =>
        (index % 2 === 0 ? api : other).post(`/task/${taskId}/event`, { type: 'append', text: `${index}` }),
      )
      const [ended, ...answers] = await Promise.all([finish(taskId, { status: 'succeeded' }, other), ...appends])
      expect(ended?.status).toBe(200)
      await waitFor(() => channel.publications.some(({ body }) => body['type'] === 'finished'), { what: 'the end' })
      expect(channel.publications.at(-1)?.body['type']).toBe('finished')
      expect((await read(taskId))['text']).toBe(folded(channel)?.text)
      expect(folded(channel)?.text.length).toBe(answers.filter(({ status }) => status === 202).length)
      channel.close()
    }
  })
})

describe('text', () => {
  test('with an offset is appended once, however often it is sent', async () => {
    const taskId = await createTask(api, 1)
    const append = (text: string, offset: number) => event(taskId, { type: 'append', text }, `?offset=${offset}`)
    expect(await append('가나', 0)).toMatchObject({ status: 202, body: { textBytes: 6 } })
    expect(await append('가나', 0)).toMatchObject({ status: 202, body: { textBytes: 6 } })
    const elsewhere = { status: 409, body: { type: 'https://tidings.dev/problem/text-offset', textBytes: 6 } }
    expect(await append('나', 3)).toMatchObject({ status: 202, body: { textBytes: 6 } })
    expect(await append('다', 0)).toMatchObject(elsewhere)
    expect(await append('다', 9)).toMatchObject(elsewhere)
    expect(await append('다', 6)).toMatchObject({ status: 202, body: { textBytes: 9 } })
    expect((await read(taskId))['text']).toBe('가나다')
  })

  test.each([
    ['MAX_TASK_TEXT_BYTES', { type: 'append', text: '가'.repeat(4_000) }, 2],
    ['MAX_TASK_DATA_BYTES', { type: 'data', data: 'x'.repeat(900) }, 3],
    ['MAX_TASK_EVENTS', { type: 'progress', percent: 1 }, 49],
  ])('beyond %s is refused, and the task can still be finished', async (limit, body, allowed) => {
    const taskId = await createTask(api, 1)
    for (let sent = 1; sent < allowed; sent++) expect((await event(taskId, body)).status).toBe(202)
    expect(await event(taskId, body)).toMatchObject({
      status: 413,
      body: { type: 'https://tidings.dev/problem/task-limit', limit, textBytes: expect.any(Number) },
    })
    expect((await event(taskId, { type: 'progress' })).status).toBe(202)
    expect((await finish(taskId, { status: 'failed' })).status).toBe(200)
  })
})

describe('a cancel', () => {
  test('ends the task and publishes the end once, even if it is repeated', async () => {
    const taskId = await createTask(api, 1)
    await event(taskId, { type: 'append', text: 'so far' })
    const channel = await listenToTask(stack, 1, taskId)
    const answers = await Promise.all([api, other, api].map((at) => at.member(1).post(`/task/${taskId}/cancel`)))
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { taskId, status: 'cancelled' } })
    expect(await event(taskId, { type: 'progress' })).toMatchObject({ status: 409, body: { taskStatus: 'cancelled' } })
    expect(await finish(taskId, { status: 'succeeded' })).toMatchObject({ status: 409, body: { taskStatus: 'cancelled' } })
    expect(await read(taskId)).toMatchObject({ status: 'cancelled', text: 'so far' })
    await waitFor(() => channel.publications.length > 0, { what: 'the end' })
    expect(channel.publications.map(({ body }) => body)).toEqual([{ type: 'finished', status: 'cancelled' }])
  })

  test('that arrives before the task is created cancels the task at its creation', async () => {
    const taskId = newTaskId()
    const channel = await listenToTask(stack, 1, taskId)
    for (const at of [api, other]) {
      expect(await at.member(1).post(`/task/${taskId}/cancel`)).toMatchObject({ status: 200, body: { status: 'cancelled' } })
    }
    expect((await api.member(1).get(`/task/${taskId}`)).status).toBe(404)
    expect(await api.post('/task', { taskId, memberId: 1, kind: 'chat' })).toMatchObject({
      status: 201,
      body: { status: 'cancelled' },
    })
    expect(await event(taskId, { type: 'append', text: 'a' })).toMatchObject({ status: 409, body: { taskStatus: 'cancelled' } })
    expect(await read(taskId)).toMatchObject({ status: 'cancelled', kind: 'chat', text: '' })
    await waitFor(() => channel.publications.length === 2, { what: 'created and finished' })
    expect(folded(channel)).toMatchObject({ status: 'cancelled' })
    expect((await api.post('/task', { taskId, memberId: 1, kind: 'chat' })).status).toBe(200)
  })

  test('that races with the creation is never lost', async () => {
    for (let round = 0; round < 20; round++) {
      const taskId = newTaskId()
      const [, cancelled] = await Promise.all([
        api.post('/task', { taskId, memberId: 1, kind: 'chat' }),
        other.member(1).post(`/task/${taskId}/cancel`),
      ])
      expect(cancelled.status).toBe(200)
      expect(await read(taskId)).toMatchObject({ status: 'cancelled' })
    }
  })

  test('by another member gets 404 and has no effect', async () => {
    const taskId = await createTask(api, 1)
    expect(await api.member(2).post(`/task/${taskId}/cancel`)).toMatchObject({ status: 404 })
    expect(await read(taskId)).toMatchObject({ status: 'queued' })
  })
})

describe('refuses', () => {
  test('an unknown task and the task of another member', async () => {
    const taskId = await createTask(api, 1)
    const notFound = { status: 404, body: { errors: [{ in: 'path', pointer: '#/id' }] } }
    expect(await api.member(2).get(`/task/${taskId}`)).toMatchObject(notFound)
    expect(await api.member(1).get(`/task/${newTaskId()}`)).toMatchObject(notFound)
    expect(await event(newTaskId(), { type: 'progress' })).toMatchObject(notFound)
    expect(await finish(newTaskId(), { status: 'failed' })).toMatchObject(notFound)
    expect(await event('x', { type: 'progress' })).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/id' }] } })
  })

  test.each([
    [{ type: 'append' }, '#/text'],
    [{ type: 'append', text: '' }, '#/text'],
    [{ type: 'append', text: 'half \ud83d' }, '#/text'],
    [{ type: 'progress', percent: 101 }, '#/percent'],
    [{ type: 'progress', note: 1 }, '#/note'],
    [{ type: 'data' }, '#/data'],
    [{ type: 'data', data: JSON.parse('['.repeat(17) + ']'.repeat(17)) as unknown }, '#/data'],
    [{ type: 'finished', status: 'succeeded' }, '#/type'],
  ])('the event %j', async (body, pointer) => {
    const taskId = await createTask(api, 1)
    expect(await event(taskId, body)).toMatchObject({ status: 400, body: { errors: [{ in: 'body', pointer }] } })
  })

  test('an append with more text than one event may have', async () => {
    const taskId = await createTask(api, 1)
    const body = { type: 'append', text: 'a'.repeat(maxAppendLength + 1) }
    expect(await event(taskId, body)).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/text' }] } })
  })

  test('a caller without the scope or without a token', async () => {
    const taskId = await createTask(api, 1)
    const headers = { authorization: `Bearer ${serviceToken({ scopes: ['notification:send'] })}` }
    expect(await call(`${api.url}/task/${taskId}`, { headers })).toMatchObject({ status: 403 })
    expect(await call(`${api.url}/task/${taskId}`, {})).toMatchObject({ status: 401 })
    expect(await api.post('/task', { memberId: 1, kind: 'a' }, headers)).toMatchObject({ status: 403 })
    const backend = { headers: { authorization: `Bearer ${serviceToken()}` } }
    expect(await call(`${api.url}/task/${taskId}`, backend)).toMatchObject({ status: 200, body: { textBytes: 0 } })
    const readAs = (memberId: number, expiresInSeconds = 600) =>
      call(`${api.url}/task/${taskId}`, {
        headers: { authorization: `Bearer ${memberToken(memberId, { expiresInSeconds })}` },
      })
    expect(await readAs(1)).toMatchObject({ status: 200, body: { textBytes: 0 } })
    expect(await readAs(2)).toMatchObject({ status: 404 })
    expect(await readAs(1, -60)).toMatchObject({ status: 401 })
    const behindProxy = { cookie: `access_token=${memberToken(1)}`, authorization: 'Basic YTpi' }
    expect(await call(`${api.url}/task/${taskId}`, { headers: behindProxy })).toMatchObject({ status: 200 })
  })
})

test('GET /task lists the tasks of the member only, newest first, in pages and with progress', async () => {
  const ids: string[] = []
  for (let index = 0; index < 5; index++) ids.unshift(await createTask(api, 41))
  await createTask(api, 42)
  await event(ids[0] as string, { type: 'progress', percent: 30, stage: '읽기' })
  await finish(ids[1] as string, { status: 'succeeded' })
  const seen: Record<string, unknown>[] = []
  for (let before = ''; ; ) {
    const { body } = await api.member(41).get(`/task?limit=2${before}`)
    seen.push(...(body['items'] as Record<string, unknown>[]))
    if (body['nextCursor'] === null) break
    before = `&before=${body['nextCursor'] as number}`
  }
  expect(seen.map(({ taskId }) => taskId)).toEqual(ids)
  expect(seen[0]).toMatchObject({ status: 'running', percent: 30, stage: '읽기', finishedAt: null })
  expect(seen[1]).toMatchObject({ status: 'succeeded', finishedAt: expect.any(String) })
  expect(seen[2]).toEqual({
    taskId: ids[2],
    kind: 'chat',
    title: '질문',
    status: 'queued',
    createdAt: expect.any(String),
    finishedAt: null,
  })
})

describe('an unpaired surrogate', () => {
  const half = String.raw`"\ud800"`
  test.each([
    ['event', `{"type":"data","data":{"x":${half}}}`, '#/data/x'],
    ['event', `{"type":"data","data":${half}}`, '#/data'],
    ['event', `{"type":"data","data":[0,{"a":[${half}]}]}`, '#/data/1/a/0'],
    ['event', `{"type":"data","data":{"a/b":{${half}:1}}}`, '#/data/a~1b/%EF%BF%BD'],
    ['event', `{"type":"progress","stage":${half}}`, '#/stage'],
    ['event', `{"type":"append","text":${half}}`, '#/text'],
    ['event', `{"type":"progress",${half}:1}`, '#/%EF%BF%BD'],
    ['finish', `{"status":"succeeded","result":{"x":["\\udc00"]}}`, '#/result/x/0'],
    ['finish', `{"status":"failed","error":${half}}`, '#/error'],
    ['finish', `{"status":"failed","notify":{"message":${half},"redirectPath":"/"}}`, '#/notify/message'],
  ])('in the body of %s %s is refused, and its field named', async (route, body, pointer) => {
    const taskId = await createTask(api, 1)
    expect(await api.post(`/task/${taskId}/${route}`, body)).toMatchObject({
      status: 400,
      body: { errors: [{ in: 'body', pointer }] },
    })
    expect((await finish(taskId, { status: 'succeeded' })).status).toBe(200)
  })

  test('in a title is refused; a pair is text like any other', async () => {
    const refused = await api.post('/task', `{"memberId":1,"kind":"chat","title":${half}}`)
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/title' }] } })
    const taskId = await createTask(api, 1)
    expect((await event(taskId, { type: 'data', data: { '🌃': '🌃' } })).status).toBe(202)
    expect((await finish(taskId, { status: 'succeeded', result: '🌃' })).status).toBe(200)
    expect(await read(taskId)).toMatchObject({ data: [{ '🌃': '🌃' }], result: '🌃' })
  })
})

describe('a number in data or result', () => {
  test.each([
    ['event', '{"type":"data","data":{"orderId":1234567890123456789}}', '#/data/orderId'],
    ['event', '{"type":"data","data":9007199254740993}', '#/data'],
    ['event', '{"type":"data","data":[{"a\\"b":"1,2"},-1e400]}', '#/data/1'],
    ['event', '{"type":"data","data":[[1],[2,{"a":[],"b":1e-400}]]}', '#/data/1/1/b'],
    ['event', '{"type":"data","data":{"price":1.2345678901234567891}}', '#/data/price'],
    ['finish', '{"status":"succeeded","result":{ "x" : 1234567890123456789 }}', '#/result/x'],
  ])('of %s %s is refused when JavaScript would change it', async (route, body, pointer) => {
    const refused = await api.post(`/task/${await createTask(api, 1)}/${route}`, body)
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ in: 'body', pointer }] } })
  })

  test('is accepted when it keeps its value', async () => {
    const taskId = await createTask(api, 1)
    const data =
      '[9007199254740991,-0,1.10,1e3,100000000000000000000,0.10000000000000001,1.7976931348623157e308,5e-324,0e999,"1234567890123456789"]'
    expect((await event(taskId, `{"type":"data","data":${data}}`)).status).toBe(202)
    expect((await finish(taskId, { status: 'succeeded' })).status).toBe(200)
    expect(await read(taskId)).toMatchObject({
      data: [[9_007_199_254_740_991, 0, 1.1, 1_000, 1e20, 0.1, Number.MAX_VALUE, Number.MIN_VALUE, 0, '1234567890123456789']],
    })
  })
})

describe('cancels of tasks that do not exist', () => {
  test('are few for each member; one that comes shortly before its task still cancels it', async () => {
    const cancel = (taskId: string, memberId: number) => api.member(memberId).post(`/task/${taskId}/cancel`)
    const first = newTaskId()
    const answers = [await cancel(first, 71)]
    for (let sent = 1; sent < 20; sent++) answers.push(await cancel(newTaskId(), 71))
    expect(answers.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 10 }, () => 200),
      ...Array.from({ length: 10 }, () => 429),
    ])
    expect(answers.at(-1)).toMatchObject({ body: { type: 'https://tidings.dev/problem/rate-limited' } })
    expect(answers.at(-1)?.headers.get('retry-after')).toBe('60')
    expect(await stack.rows('SELECT task_id FROM task WHERE member_id = 71')).toHaveLength(10)
    // Neither repeating one, nor another member, nor a task that exists is concerned.
    expect((await cancel(first, 71)).status).toBe(200)
    expect((await cancel(newTaskId(), 72)).status).toBe(200)
    expect((await cancel(await createTask(api, 71), 71)).status).toBe(200)
    expect(await api.post('/task', { taskId: first, memberId: 71, kind: 'chat' })).toMatchObject({
      status: 201,
      body: { status: 'cancelled' },
    })
    // Its task exists now: there is room for another.
    expect((await cancel(newTaskId(), 71)).status).toBe(200)
  })

  test('are deleted after minutes, and their tasks are not', async () => {
    const instance = await stack.start({ RETENTION_INTERVAL_SECONDS: '1' })
    const [kept, expired, created] = [newTaskId(), newTaskId(), newTaskId()]
    for (const taskId of [kept, expired, created]) await instance.member(73).post(`/task/${taskId}/cancel`)
    await instance.post('/task', { taskId: created, memberId: 73, kind: 'chat' })
    await stack.rows('UPDATE task SET lease_until = lease_until - INTERVAL 10 MINUTE WHERE task_id IN (?)', [[expired, created]])
    const ids = async () =>
      (await stack.rows<{ id: string }>('SELECT task_id AS id FROM task WHERE member_id = 73')).map(({ id }) => id)
    await waitFor(async () => !(await ids()).includes(expired), { what: 'the deletion' })
    expect((await ids()).toSorted()).toEqual([kept, created].toSorted())
    await instance.stop()
  })
})

test.each(['finish', 'cancel'])('the history of a task leaves Redis a minute after its end by %s', async (how) => {
  const taskId = await createTask(api, 1)
  await event(taskId, { type: 'append', text: 'kept' })
  const redis = new Redis(stack.redis.url)
  const key = historyKey(`member:1:task.${taskId}`)
  expect(await redis.ttl(key)).toBeGreaterThan(60)
  const ended = how === 'finish' ? finish(taskId, { status: 'succeeded' }) : api.member(1).post(`/task/${taskId}/cancel`)
  expect((await ended).status).toBe(200)
  await waitFor(async () => (await redis.ttl(key)) <= 60, { what: 'the expiry' })
  expect(await redis.del(key)).toBe(1)
  redis.disconnect()
  expect(await read(taskId)).toMatchObject({ status: how === 'finish' ? 'succeeded' : 'cancelled', text: 'kept' })
  expect((await event(taskId, { type: 'append', text: 'late' })).status).toBe(409)
})
