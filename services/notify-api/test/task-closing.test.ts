import { waitFor } from '@tidings/local'
import { historyKey } from '@tidings/protocol'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask, listenToTask, readTask, upload } from './fixture/task.ts'

let stack: Stack
let api: NotifyApi
let other: NotifyApi

beforeAll(async () => {
  stack = await openStack('task_closing')
  // `api` ends tasks, with a short timeout for Redis. `other` takes events, with a long one.
  ;[api, other] = await Promise.all([stack.start({ PUBLISH_TIMEOUT_MS: '300' }), stack.start()])
})
// A test that fails while Redis is paused must not make the following ones fail.
afterEach(() => stack.redis.resume())
afterAll(() => stack.close())

const unavailable = { status: 503, body: { type: 'https://tidings.dev/problem/unavailable' } }
/** Less than `closeTimeoutMs`, after which an end that is not stored counts as abandoned. */
const deadlineMs = 10_000

const append = (taskId: string, text: string, offset: number) =>
  other.post(`/task/${taskId}/event?offset=${offset}`, { type: 'append', text })
const cancel = (taskId: string) => api.member(1).post(`/task/${taskId}/cancel`)
const finish = (taskId: string) => api.post(`/task/${taskId}/finish`, { status: 'succeeded' })

test.each([
  ['cancel', cancel],
  ['finish', finish],
])('a %s that gets 503 because Redis does not reply has no effect: events and uploads are still accepted', async (_what, end) => {
  const taskId = await createTask(api, 1)
  const channel = await listenToTask(stack, 1, taskId)
  expect((await append(taskId, 'before', 0)).status).toBe(202)
  stack.redis.pause()
  expect(await end(taskId)).toMatchObject(unavailable)
  stack.redis.resume()
  await waitFor(async () => (await append(taskId, ', after', 6)).status === 202, { deadlineMs, what: 'an event' })
  const { request, answer } = upload(other, taskId, { offset: 13 })
  request.end(' and on')
  expect(await answer).toMatchObject({ status: 202, body: { textBytes: 20 } })
  expect(await readTask(other, taskId)).toMatchObject({ status: 'running', text: 'before, after and on' })
  await waitFor(async () => (await end(taskId)).status === 200, { deadlineMs, what: 'the repeated end' })
  expect(await append(taskId, '!', 20)).toMatchObject({ status: 409 })
  await waitFor(() => channel.publications.at(-1)?.body['type'] === 'finished', { what: 'the end' })
})

test('a cancel that Redis executes after its connection was replaced has no effect either', async () => {
  const taskId = await createTask(api, 1)
  expect((await append(taskId, 'before', 0)).status).toBe(202)
  stack.redis.pause()
  expect(await cancel(taskId)).toMatchObject(unavailable)
  const replaced = () => api.logs.some((line) => line.includes('redis connection of tasks failed'))
  await waitFor(replaced, { deadlineMs, what: 'the end of the connection' })
  stack.redis.resume()
  await waitFor(async () => (await append(taskId, ', after', 6)).status === 202, { deadlineMs, what: 'an event' })
  expect(await readTask(other, taskId)).toMatchObject({ status: 'running', text: 'before, after' })
})

test('a repeated end is stored, and the first attempt does not undo it', async () => {
  const taskId = await createTask(api, 1)
  expect((await append(taskId, 'all', 0)).status).toBe(202)
  stack.redis.pause()
  expect(await finish(taskId)).toMatchObject(unavailable)
  stack.redis.resume()
  await waitFor(async () => (await finish(taskId)).status === 200, { deadlineMs, what: 'the end' })
  expect(await append(taskId, '!', 3)).toMatchObject({ status: 409, body: { taskStatus: 'succeeded' } })
  expect(await readTask(other, taskId)).toMatchObject({ status: 'succeeded', text: 'all' })
})

test('nothing follows the end, even when Redis has lost its mark', async () => {
  const taskId = await createTask(api, 1)
  expect((await append(taskId, 'all', 0)).status).toBe(202)
  const redis = new Redis(stack.redis.url)
  const channel = `member:1:task.${taskId}`
  const [taskKey, key] = [`{${channel}}:task`, historyKey(channel)]
  const open = await redis.hgetall(taskKey)
  expect((await finish(taskId)).status).toBe(200)
  const publications = await redis.lrange(key, 0, -1)
  const states = [
    open,
    { ...open, status: 'closing', closer: 'x', closed: '1' },
    { ...open, status: 'closing', closer: 'x', closed: '1', last: '' },
  ]
  for (const state of states) {
    await redis.hset(taskKey, state)
    expect(await append(taskId, '!', 3)).toMatchObject({ status: 409, body: { taskStatus: 'succeeded' } })
    expect(await redis.lrange(key, 0, -1)).toEqual(publications)
  }
  redis.disconnect()
})

test('an attempt to end a task that was abandoned does not keep events out', async () => {
  const taskId = await createTask(api, 1)
  const redis = new Redis(stack.redis.url)
  await redis.hset(`{member:1:task.${taskId}}:task`, { status: 'closing', closer: 'x', closed: '1' })
  redis.disconnect()
  expect((await append(taskId, 'more', 0)).status).toBe(202)
  expect(await readTask(other, taskId)).toMatchObject({ status: 'running', text: 'more' })
})
