import { waitFor } from '@tidings/local'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { createTask, listenToTask, readTask, upload } from './fixture/task.ts'

let stack: Stack
let api: NotifyApi
let other: NotifyApi

beforeAll(async () => {
  stack = await openStack('task_closing')
  // One that ends tasks and soon gives Redis up, and one that takes events and is never short of time.
  ;[api, other] = await Promise.all([stack.start({ PUBLISH_TIMEOUT_MS: '300' }), stack.start()])
})
// A test that fails while Redis stands still takes no other with it.
afterEach(() => stack.redis.resume())
afterAll(() => stack.close())

const unavailable = { status: 503, body: { type: 'https://tidings.dev/problem/unavailable' } }
/** Less than the time after which an end that was begun, and of which nothing more is heard, is given up. */
const deadlineMs = 10_000

const append = (taskId: string, text: string, offset: number) =>
  other.post(`/task/${taskId}/event?offset=${offset}`, { type: 'append', text })
const cancel = (taskId: string) => api.member(1).post(`/task/${taskId}/cancel`)
const finish = (taskId: string) => api.post(`/task/${taskId}/finish`, { status: 'succeeded' })

test.each([
  ['cancel', cancel],
  ['finish', finish],
])('a %s that Redis did not answer in time has not happened: events and streams go on', async (_what, end) => {
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
  await waitFor(async () => (await end(taskId)).status === 200, { deadlineMs, what: 'the end that holds' })
  expect(await append(taskId, '!', 20)).toMatchObject({ status: 409 })
  await waitFor(() => channel.publications.at(-1)?.body['type'] === 'finished', { what: 'the end' })
})

test('nor one whose connection was given up meanwhile, though Redis does it when it goes on', async () => {
  const taskId = await createTask(api, 1)
  expect((await append(taskId, 'before', 0)).status).toBe(202)
  stack.redis.pause()
  expect(await cancel(taskId)).toMatchObject(unavailable)
  const givenUp = () => api.logs.some((line) => line.includes('redis connection of tasks failed'))
  await waitFor(givenUp, { deadlineMs, what: 'the connection to be given up' })
  stack.redis.resume()
  await waitFor(async () => (await append(taskId, ', after', 6)).status === 202, { deadlineMs, what: 'an event' })
  expect(await readTask(other, taskId)).toMatchObject({ status: 'running', text: 'before, after' })
})

test('the same end again holds, and nothing of the first attempt undoes it', async () => {
  const taskId = await createTask(api, 1)
  expect((await append(taskId, 'all', 0)).status).toBe(202)
  stack.redis.pause()
  expect(await finish(taskId)).toMatchObject(unavailable)
  stack.redis.resume()
  await waitFor(async () => (await finish(taskId)).status === 200, { deadlineMs, what: 'the end' })
  expect(await append(taskId, '!', 3)).toMatchObject({ status: 409, body: { taskStatus: 'succeeded' } })
  expect(await readTask(other, taskId)).toMatchObject({ status: 'succeeded', text: 'all' })
})
