import { waitFor } from '@tidings/local'
import { historyKey } from '@tidings/protocol'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask, listenToTask, newTaskId, readTask, upload } from './fixture/task.ts'

/** Long enough that a busy machine does not delay the events of an active producer beyond it. */
const leaseMs = 5_000
const env = { TASK_LEASE_SECONDS: String(leaseMs / 1_000), PUBLISH_TIMEOUT_MS: '2000' }
const redisDeadlineMs = 20_000

let stack: Stack
let api: NotifyApi
let other: NotifyApi
const lines: string[] = []

beforeAll(async () => {
  stack = await openStack('task_lease')
  const start = () => stack.start(env, { onLine: (line) => lines.push(line) })
  ;[api, other] = await Promise.all([start(), start()])
})
// A test that fails while Redis is paused must not make the following ones fail.
afterEach(() => stack.redis.resume())
afterAll(() => stack.close())

const event = (taskId: string, body: unknown, query = '') => api.post(`/task/${taskId}/event${query}`, body)
const failedSweeps = () => lines.filter((line) => line.includes('sweep of tasks failed')).length
const read = (taskId: string) => readTask(other, taskId)
const interrupted = (taskId: string) =>
  waitFor(async () => (await read(taskId))['status'] === 'interrupted', { deadlineMs: leaseMs + 20_000, what: 'interrupted' })
/** As if the lease were over, or the time for which a claim hides the task. The sweep then asks Redis how long the producer is silent. */
const expireLease = (...taskIds: string[]) =>
  stack.rows("UPDATE task SET lease_until = '2020-01-01' WHERE task_id IN (?) AND lease_until IS NOT NULL", [taskIds])
const running = async (...taskIds: string[]) => {
  const live = 'SELECT task_id FROM task WHERE task_id IN (?) AND lease_until > NOW(3)'
  return (await stack.rows(live, [taskIds])).length === taskIds.length
}

/** An event that is in Redis as the last of its task, whatever it says. */
const putIntoRedis = async (taskId: string, body: string) => {
  const redis = new Redis(stack.redis.url)
  const key = historyKey(`member:1:task.${taskId}`)
  const last = (await redis.lindex(key, -1)) ?? ''
  const [epoch, offset] = last.slice(0, last.indexOf('\n')).split('-')
  await redis.rpush(key, `${epoch}-${Number(offset) + 1}\n${body}`)
  redis.disconnect()
}

test.concurrent('each silent task is ended once, with its text, although two instances sweep', async () => {
  const announcements = await stack.listen('member:1:task')
  const ids = await Promise.all(Array.from({ length: 10 }, () => createTask(api, 1)))
  const channels = await Promise.all(ids.map((taskId) => listenToTask(stack, 1, taskId)))
  // The first task has no events, the upload of the second breaks off, and each of the others has one event.
  const broken = upload(api, ids[1] as string)
  broken.request.write('broken')
  await waitFor(async () => (await read(ids[1] as string))['text'] === 'broken', { what: 'the upload' })
  broken.request.destroy()
  const answers = await Promise.all(ids.slice(2).map((taskId) => event(taskId, { type: 'append', text: taskId })))
  expect(answers.map(({ status }) => status)).toEqual(Array.from(answers, () => 202))
  await Promise.all(ids.map(interrupted))
  expect((await read(ids[1] as string))['text']).toBe('broken')
  expect((await read(ids[2] as string))['text']).toBe(ids[2])
  expect(await event(ids[2] as string, { type: 'append', text: 'back again' })).toMatchObject({
    status: 409,
    body: { taskStatus: 'interrupted' },
  })
  const ends = () =>
    announcements.publications.filter(({ body }) => body['type'] === 'finished' && ids.includes(body['taskId'] as string))
  await waitFor(() => ends().length >= ids.length, { what: 'all ends' })
  expect(ends().map(({ body }) => body['taskId'] as string)).toHaveLength(ids.length)
  for (const { publications } of channels) {
    const finished = () => publications.filter(({ body }) => body['type'] === 'finished')
    await waitFor(() => finished().length > 0, { what: 'the end on its own channel' })
    expect(finished()).toHaveLength(1)
  }
})

test.concurrent('an open upload and an empty progress renew the lease without a publication', async () => {
  const taskId = await createTask(api, 1)
  const touched = await createTask(api, 1)
  const channel = await listenToTask(stack, 1, touched)
  const { request, answer } = upload(api, taskId)
  request.write('thinking')
  const touching = setInterval(() => void event(touched, { type: 'progress' }), leaseMs / 8)
  // A later task is interrupted: by then the leases of the first two would have expired. Then they expire once more.
  await interrupted(await createTask(api, 1))
  await expireLease(taskId, touched)
  await waitFor(() => running(taskId, touched), { what: 'the renewed leases' })
  expect(await read(taskId)).toMatchObject({ status: 'running', text: 'thinking' })
  expect(await read(touched)).toMatchObject({ status: 'running' })
  expect(channel.publications.map(({ body }) => body)).toEqual([{ type: 'progress' }])
  clearInterval(touching)
  request.end(' done')
  expect((await answer).status).toBe(202)
  await Promise.all([interrupted(taskId), interrupted(touched)])
})

test.concurrent('silent tasks with an event that the database refuses, or that is not JSON, end without their text and hold up no other', async () => {
  const poisons = [
    { body: '{"type":"data","data":[{"x":"\\ud800"}]}', logged: '"sqlState":' },
    { body: '{oops', logged: 'SyntaxError' },
  ]
  const poisonedIds = await Promise.all(poisons.map(() => createTask(api, 1)))
  const good = await Promise.all(Array.from({ length: 5 }, () => createTask(api, 1)))
  await Promise.all([...poisonedIds, ...good].map((taskId) => event(taskId, { type: 'append', text: taskId })))
  for (const [index, { body }] of poisons.entries()) await putIntoRedis(poisonedIds[index] as string, body)
  const channels = await Promise.all(poisonedIds.map((taskId) => listenToTask(stack, 1, taskId)))
  const silent = [...poisonedIds, ...good]
  const ended = async () => {
    // Claimed together, the poisoned ones first: they are the oldest.
    await expireLease(...silent)
    const rows = await stack.rows<{ status: string }>('SELECT status FROM task WHERE task_id IN (?)', [silent])
    return rows.every(({ status }) => status === 'interrupted')
  }
  await waitFor(ended, { deadlineMs: 40_000, what: 'the end of all' })
  expect(await read(good[0] as string)).toMatchObject({ text: good[0] })
  for (const [index, { logged }] of poisons.entries()) {
    const taskId = poisonedIds[index] as string
    expect(await read(taskId)).toMatchObject({ status: 'interrupted', text: '', data: [] })
    const finished = () => channels[index]?.publications.some((one) => one.body['type'] === 'finished')
    await waitFor(finished, { what: 'its end on its channel' })
    expect(lines.some((line) => line.includes(taskId) && line.includes(logged))).toBe(true)
  }
})

test('a task whose history Redis has lost continues when its producer sends the whole text again', async () => {
  const taskId = newTaskId()
  await createTask(api, 1, { taskId })
  await event(taskId, { type: 'append', text: '처음부터 ' })
  await stack.redis.restart()
  const channel = await listenToTask(stack, 1, taskId)
  const continueText = () => event(taskId, { type: 'append', text: '끝까지' })
  const refused = await waitFor(async () => [await continueText()].find(({ status }) => status !== 503), {
    deadlineMs: redisDeadlineMs,
    what: 'Redis',
  })
  const lost = { status: 409, body: { type: 'https://tidings.dev/problem/text-offset', textBytes: 0 } }
  expect(refused).toMatchObject(lost)
  expect(await event(taskId, { type: 'append', text: '끝까지' }, '?offset=13')).toMatchObject(lost)
  const sendAgain = async () => {
    const again = upload(other, taskId, { offset: 0 })
    again.request.end('처음부터 끝까지')
    return (await again.answer).status
  }
  // The other instance may reconnect to Redis later than the first.
  const sentAgain = await waitFor(async () => [await sendAgain()].find((status) => status !== 503), {
    deadlineMs: redisDeadlineMs,
    what: 'Redis, in the other instance',
  })
  expect(sentAgain).toBe(202)
  expect((await api.post(`/task/${taskId}/finish`, { status: 'succeeded' })).status).toBe(200)
  expect(await read(taskId)).toMatchObject({ status: 'succeeded', text: '처음부터 끝까지' })
  // A new epoch begins with `created`, so that clients start the task again too.
  expect(channel.publications[0]).toMatchObject({ position: expect.stringMatching(/-1$/), body: { type: 'created', taskId } })
})

test('a task whose history Redis has lost is interrupted when its lease expires', async () => {
  const taskId = await createTask(api, 1)
  await event(taskId, { type: 'append', text: 'lost' })
  await stack.redis.restart()
  await expireLease(taskId)
  await interrupted(taskId)
})

test('while Redis does not reply, events get 503 and no task is interrupted', async () => {
  const taskId = await createTask(api, 1)
  await event(taskId, { type: 'append', text: 'a' })
  stack.redis.pause()
  const before = failedSweeps()
  await expireLease(taskId)
  const away = await event(taskId, { type: 'append', text: 'b' }, '?offset=1')
  expect(away).toMatchObject({ status: 503, body: { type: 'https://tidings.dev/problem/unavailable' } })
  expect(away.headers.get('retry-after')).toBe('1')
  // The lease has expired, but without Redis it is unknown whether the producer is silent.
  const [created] = await Promise.all([
    api.post('/task', { memberId: 1, kind: 'chat' }),
    waitFor(() => failedSweeps() > before, { deadlineMs: leaseMs + 20_000, what: 'a failed sweep of tasks' }),
  ])
  expect(created.status).toBe(201)
  stack.redis.resume()
  await waitFor(async () => (await event(taskId, { type: 'append', text: 'b' }, '?offset=1')).status === 202, {
    deadlineMs: redisDeadlineMs,
    what: 'the repeated event',
  })
  stack.redis.pause()
  expect((await api.post(`/task/${taskId}/finish`, { status: 'succeeded' })).status).toBe(503)
  stack.redis.resume()
  await waitFor(async () => (await api.post(`/task/${taskId}/finish`, { status: 'succeeded' })).status === 200, {
    deadlineMs: redisDeadlineMs,
    what: 'the end',
  })
  expect(await read(taskId)).toMatchObject({ status: 'succeeded', text: 'ab' })
})
