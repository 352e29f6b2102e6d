import { localOrigin, memberToken, serviceToken } from '@tidings/local'
import { createTask } from '@tidings/producer'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { killGatewayRedisConnections, longRun, startStreamedAnswer } from './fixture/streamed-answer.ts'
import { startTaskStack, TaskClient } from './fixture/task-stack.ts'

const tokens = longRun ? 5_000 : 1_200

let stack: Awaited<ReturnType<typeof startTaskStack>>
beforeAll(async () => {
  stack = await startTaskStack('task_stream')
}, 120_000)
afterAll(() => stack?.close())

/** Starts an answer for member 1. `openClient` follows it through one of the gateways until the test finishes. */
async function openAnswer(options: Parameters<typeof startStreamedAnswer>[1]) {
  const answer = await startStreamedAnswer(1, options)
  const openClient = (gateway = 0) => {
    const client = new TaskClient(stack.gateways[gateway]?.url ?? '', 1, answer.taskId)
    onTestFinished(() => client.disconnect())
    return client
  }
  return { ...answer, openClient }
}

test('delivers exactly the text of an answer to every client across a killed gateway, lost Redis connections and a restart of notify-api', {
  timeout: 120_000,
}, async () => {
  const { job, openClient, text, state } = await openAnswer({ tokens })
  const [api] = stack.apis
  const first = openClient()
  const ended = job(api.url)
  const waitForPart = (part: number) =>
    first.waitUntil(() => first.text.length > text.length * part, `${part * 100} % of the answer`, 60_000)

  await waitForPart(0.1)
  await stack.gateways[0].kill()
  stack.gateways[0] = await stack.gateways[0].again()
  await waitForPart(0.3)
  const second = openClient(1)
  await waitForPart(0.5)
  await second.waitUntil(() => second.state?.stage === '답변 작성', 'the stage of the snapshot')
  expect(await killGatewayRedisConnections(stack.redis.url)).toBeGreaterThan(0)
  await waitForPart(0.6)
  await api.kill('SIGTERM')
  await api.exited
  stack.apis[0] = await api.again()
  await waitForPart(0.8)
  const third = openClient(0)

  expect(await ended).toBe('succeeded')
  for (const each of [first, second, third]) {
    await each.waitUntil(() => each.state?.status === 'succeeded', 'the final status')
    expect(each.text === text).toBe(true)
    expect(each.state).toMatchObject(state)
  }
  // A client that connects after the end reads what is stored.
  const late = openClient(1)
  await late.waitUntil(() => late.state?.status === 'succeeded', 'the stored answer')
  expect([late.text === text, late.snapshots]).toEqual([true, 1])
})

test('stops the producer when a client cancels over STOMP', { timeout: 60_000 }, async () => {
  const { taskId, job, openClient } = await openAnswer({ tokens: 2_000 })
  const client = openClient(1)
  const ended = job(stack.apis[0].url)
  await client.waitUntil(() => client.text.length > 100, 'some text')
  client.sendCancel(taskId)
  expect(await ended).toBe('cancelled')
  await client.waitUntil(() => client.state?.status === 'cancelled', 'the final status')
})

test('completes the task when every client has disconnected', { timeout: 60_000 }, async () => {
  const { job, openClient, text } = await openAnswer({ tokens: 200, tokensPerSecond: 200 })
  const client = openClient()
  const ended = job(stack.apis[0].url)
  await client.waitUntil(() => client.text.length > 100, 'some text')
  await client.disconnect()
  expect(await ended).toBe('succeeded')
  const reconnected = openClient(1)
  await reconnected.waitUntil(() => reconnected.state?.status === 'succeeded', 'the final status')
  expect(reconnected.text).toBe(text)
})

test('creates a task as cancelled when the cancel came before it, so that the job does not begin', {
  timeout: 60_000,
}, async () => {
  const { taskId, job, openClient } = await openAnswer({ tokens: 100 })
  const client = openClient()
  await client.waitUntilConnected()
  client.sendCancel(taskId)
  const headers = { cookie: `access_token=${memberToken(1)}`, origin: localOrigin, 'content-type': 'application/json' }
  // Cancel over HTTP as well: its response proves that a cancel is stored.
  await fetch(`${stack.apis[1].url}/task/${taskId}/cancel`, { method: 'POST', headers })
  expect(await job(stack.apis[0].url)).toBe('cancelled')
  await client.waitUntil(() => client.state?.status === 'cancelled', 'the final status')
  expect(client.text).toBe('')
})

test('completes an answer after Redis restarts empty, as the producer sends the whole text again', {
  timeout: 90_000,
}, async () => {
  // Long enough to be still running when Redis restarts: a client that has seen the end would receive nothing more.
  const { job, openClient, text, state } = await openAnswer({ tokens: 1_500 })
  const devices = [openClient(0), openClient(1)]
  const ended = job(stack.apis[0].url)
  for (const each of devices) await each.waitUntil(() => each.text.length > 500, 'some text')
  await stack.redis.restart()
  for (const each of devices) {
    await each.waitUntil(() => each.replacements > 1 && each.state?.data.length === 1, 'the data again')
    expect(each.state).toMatchObject({ percent: 40, stage: '답변 작성' })
  }
  expect(await ended).toBe('succeeded')
  for (const each of devices) {
    await each.waitUntil(() => each.state?.status === 'succeeded', 'the final status')
    expect(each.text === text).toBe(true)
    expect(each.state).toMatchObject(state)
  }
})

test('stores text, data and progress that Redis loses in a restart just before the end', { timeout: 60_000 }, async () => {
  const { url } = stack.apis[0]
  const task = await createTask({ url, token: serviceToken(), memberId: 1, kind: 'chat' })
  await task.progress({ percent: 5, stage: '검색' })
  const data = { sources: ['a'] }
  await task.data(data)
  data.sources.push('b')
  await task.data(data)
  await task.append('한 ')
  await task.progress({ percent: 90 })
  await task.pipe(['글자도', '.'])
  await stack.redis.restart()
  await task.finish({ status: 'succeeded' })
  const stored = await fetch(`${url}/task/${task.taskId}`, { headers: { authorization: `Bearer ${serviceToken()}` } })
  expect(await stored.json()).toMatchObject({
    status: 'succeeded',
    percent: 90,
    stage: '검색',
    data: [{ sources: ['a'] }, { sources: ['a', 'b'] }],
    text: '한 글자도.',
  })
})
