import { localOrigin, memberToken, serviceToken } from '@tidings/local'
import { createTask } from '@tidings/producer'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { cutGatewaysOff, long, openAnswer } from './answer.test.fixture.ts'
import { Device, openTaskStack } from './task.test.fixture.ts'

const tokens = long ? 5_000 : 1_200

let stack: Awaited<ReturnType<typeof openTaskStack>>
beforeAll(async () => {
  stack = await openTaskStack('task_stream')
}, 120_000)
afterAll(() => stack?.close())

async function open(options: Parameters<typeof openAnswer>[1]) {
  const answer = await openAnswer(1, options)
  const device = (gateway = 0) => {
    const joined = new Device(stack.gateways[gateway]?.url ?? '', 1, answer.taskId)
    onTestFinished(() => joined.leaves())
    return joined
  }
  return { ...answer, device }
}

test('an answer survives everything, and every device ends with exactly its text', { timeout: 120_000 }, async () => {
  const { job, device, text, state } = await open({ tokens })
  const [api] = stack.apis
  const first = device()
  const ended = job(api.url)
  const at = (part: number) => first.sees(() => first.text.length > text.length * part, `${part * 100} % of the answer`, 60_000)

  await at(0.1)
  await stack.gateways[0].kill()
  stack.gateways[0] = await stack.gateways[0].again()
  await at(0.3)
  const second = device(1)
  await at(0.5)
  await second.sees(() => second.state?.stage === '답변 작성', 'the snapshot')
  expect(await cutGatewaysOff(stack.redis.url)).toBeGreaterThan(0)
  await at(0.6)
  await api.kill('SIGTERM')
  await api.exited
  stack.apis[0] = await api.again()
  await at(0.8)
  const third = device(0)

  expect(await ended).toBe('succeeded')
  for (const each of [first, second, third]) {
    await each.sees(() => each.state?.status === 'succeeded', 'the end')
    expect(each.text === text).toBe(true)
    expect(each.state).toMatchObject(state)
  }
  // Later, from what was stored.
  const late = device(1)
  await late.sees(() => late.state?.status === 'succeeded', 'the stored answer')
  expect([late.text === text, late.snapshots]).toEqual([true, 1])
})

test('a cancel over STOMP ends the producer', { timeout: 60_000 }, async () => {
  const { taskId, job, device } = await open({ tokens: 2_000 })
  const browser = device(1)
  const ended = job(stack.apis[0].url)
  await browser.sees(() => browser.text.length > 100, 'some text')
  browser.cancels(taskId)
  expect(await ended).toBe('cancelled')
  await browser.sees(() => browser.state?.status === 'cancelled', 'the end')
})

test('the work goes on when every browser has gone', { timeout: 60_000 }, async () => {
  const { job, device, text } = await open({ tokens: 200, tokensPerSecond: 200 })
  const browser = device()
  const ended = job(stack.apis[0].url)
  await browser.sees(() => browser.text.length > 100, 'some text')
  await browser.leaves()
  expect(await ended).toBe('succeeded')
  const back = device(1)
  await back.sees(() => back.state?.status === 'succeeded', 'the end')
  expect(back.text).toBe(text)
})

test('a cancel that comes before the task keeps the work from beginning', { timeout: 60_000 }, async () => {
  const { taskId, job, device } = await open({ tokens: 100 })
  const browser = device()
  await browser.connected()
  browser.cancels(taskId)
  const headers = { cookie: `access_token=${memberToken(1)}`, origin: localOrigin, 'content-type': 'application/json' }
  // The same by HTTP: whichever comes first, it is there now.
  await fetch(`${stack.apis[1].url}/task/${taskId}/cancel`, { method: 'POST', headers })
  expect(await job(stack.apis[0].url)).toBe('cancelled')
  await browser.sees(() => browser.state?.status === 'cancelled', 'the end')
  expect(browser.text).toBe('')
})

test('an answer survives a Redis that restarts empty: the producer has all of it', { timeout: 90_000 }, async () => {
  // Long enough to be under way still when Redis has gone: whose end was seen before that is not told anything again.
  const { job, device, text, state } = await open({ tokens: 1_500 })
  const devices = [device(0), device(1)]
  const ended = job(stack.apis[0].url)
  for (const each of devices) await each.sees(() => each.text.length > 500, 'some text')
  await stack.redis.restart()
  for (const each of devices) {
    await each.sees(() => each.begins > 1 && each.state?.data.length === 1, 'its data again')
    expect(each.state).toMatchObject({ percent: 40, stage: '답변 작성' })
  }
  expect(await ended).toBe('succeeded')
  for (const each of devices) {
    await each.sees(() => each.state?.status === 'succeeded', 'the end')
    expect(each.text === text).toBe(true)
    expect(each.state).toMatchObject(state)
  }
})

test('what a Redis that restarts empty loses just before the end is in what is stored', { timeout: 60_000 }, async () => {
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
