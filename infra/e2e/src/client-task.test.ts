import { randomUUID } from 'node:crypto'
import type { TaskEvent, TaskState } from '@tidings/client'
import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, status } from './client-fact.test.fixture.ts'
import { type ClientStack, openClientStack } from './client-stack.test.fixture.ts'

declare global {
  interface Window {
    events: TaskEvent[]
  }
}

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_task')
}, 120_000)
afterAll(() => stack?.close())

async function newTask(memberId: number, title = 'an answer'): Promise<string> {
  const taskId = randomUUID()
  await stack.post('/task', { taskId, memberId, kind: 'chat', title })
  return taskId
}

const append = (taskId: string, more: string) => stack.post(`/task/${taskId}/event`, { type: 'append', text: more })

function follow(page: Page, taskId: string): Promise<void> {
  return page.evaluate((id) => void window.tidings.task(id).subscribe(() => {}), taskId)
}

function task(page: Page, taskId: string): Promise<TaskState> {
  return page.evaluate((id) => window.tidings.task(id).getSnapshot(), taskId)
}

function text(page: Page, taskId: string, wanted: string): Promise<boolean> {
  return waitFor(async () => (await task(page, taskId)).text === wanted, { deadlineMs, what: `a text of ${wanted.length}` })
}

test('the text is whole with two devices, a late tab, a reload, drops and a leading tab that is closed', async () => {
  const here = await stack.device(1)
  const there = await stack.device(1)
  const [first, second, elsewhere] = [await here.tab(), await here.tab(), await there.tab()]
  for (const page of [first, second, elsewhere]) await status(page, 'connected')
  const taskId = await newTask(1)
  for (const page of [first, elsewhere]) await follow(page, taskId)
  let written = ''
  const write = async (pieces: number) => {
    for (let piece = 0; piece < pieces; piece += 1) {
      const more = `${written.length} 글자 🙂 `
      written += more
      await append(taskId, more)
    }
  }
  await write(20)
  for (const page of [first, elsewhere]) await text(page, taskId, written)

  const writing = write(40)
  await follow(second, taskId)
  stack.wire.cut()
  await writing
  for (const page of [first, second, elsewhere]) await text(page, taskId, written)

  const writingMore = write(40)
  await first.close()
  await elsewhere.reload()
  await status(elsewhere, 'connected')
  await follow(elsewhere, taskId)
  await writingMore
  await stack.post(`/task/${taskId}/finish`, { status: 'succeeded', result: { tokens: 100 } })
  for (const page of [second, elsewhere]) {
    await waitFor(async () => (await task(page, taskId)).status === 'succeeded', { deadlineMs, what: 'the end' })
    expect(await task(page, taskId)).toMatchObject({ text: written, result: { tokens: 100 }, kind: 'chat', title: 'an answer' })
  }
})

test('iterating gives a snapshot, each step, and ends with the task', async () => {
  const device = await stack.device(2)
  const page = await device.tab()
  await status(page, 'connected')
  const taskId = await newTask(2)
  await append(taskId, 'before ')
  const ended = page.evaluate(async (id) => {
    window.events = []
    for await (const event of window.tidings.task(id)) window.events.push(event)
    return window.events
  }, taskId)
  await waitFor(() => page.evaluate(() => window.events?.length === 1), { deadlineMs, what: 'the snapshot' })
  await stack.post(`/task/${taskId}/event`, { type: 'progress', percent: 40, stage: 'search' })
  await stack.post(`/task/${taskId}/event`, { type: 'data', data: { source: 'manual.pdf' } })
  await append(taskId, 'after')
  await stack.post(`/task/${taskId}/finish`, { status: 'failed', error: 'no more paper' })
  expect(await ended).toMatchObject([
    { type: 'snapshot', state: { taskId, text: 'before ' } },
    { type: 'progress', percent: 40, stage: 'search' },
    { type: 'data', data: { source: 'manual.pdf' } },
    { type: 'append', text: 'after' },
    { type: 'finished', status: 'failed', error: 'no more paper' },
  ])
  expect(await task(page, taskId)).toMatchObject({ percent: 40, data: [{ source: 'manual.pdf' }], error: 'no more paper' })
})

test('one that has finished long ago is told from what is stored', async () => {
  const taskId = await newTask(3)
  await append(taskId, 'all of it')
  await stack.post(`/task/${taskId}/finish`, { status: 'succeeded' })
  const device = await stack.device(3)
  const page = await device.tab()
  await status(page, 'connected')
  const events = await page.evaluate(async (id) => {
    const read: TaskEvent[] = []
    for await (const event of window.tidings.task(id)) read.push(event)
    return read
  }, taskId)
  expect(events).toMatchObject([
    { type: 'snapshot', state: { text: 'all of it' } },
    { type: 'finished', status: 'succeeded' },
  ])
})

test('cancel reaches the producer; the list of tasks follows', async () => {
  const device = await stack.device(4)
  const page = await device.tab()
  await status(page, 'connected')
  const early = await newTask(4, 'early')
  await page.evaluate(() => void window.tidings.tasks.subscribe(() => {}))
  const titles = () => page.evaluate(() => window.tidings.tasks.getSnapshot().items.map((item) => `${item.title} ${item.status}`))
  const listed = (wanted: readonly string[]) =>
    waitFor(async () => (await titles()).join() === wanted.join(), { deadlineMs, what: wanted.join() })
  await listed(['early queued'])
  const late = await newTask(4, 'late')
  await listed(['late queued', 'early queued'])
  expect(await page.evaluate((id) => window.tidings.task(id).cancel(), late)).toBe(true)
  await expect(append(late, 'too late')).rejects.toThrow('409')
  await listed(['late cancelled', 'early queued'])
  expect(await page.evaluate((id) => window.tidings.task(id).cancel(), randomUUID())).toBe(true)
  await stack.post(`/task/${early}/finish`, { status: 'succeeded' })
  await listed(['late cancelled', 'early succeeded'])
})

test('what was announced while the list was being read is newer than the list', async () => {
  // Both are told by the list only.
  const [one, two] = [await newTask(7, 'one'), await newTask(7, 'two')]
  const device = await stack.device(7)
  const page = await device.tab()
  await status(page, 'connected')
  let release: (() => void) | undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  let read = false
  await page.route('**/task?**', async (route) => {
    const response = await route.fetch()
    read = true
    await held
    await route.fulfill({ response })
  })
  await page.evaluate(() => void window.tidings.tasks.subscribe(() => {}))
  await waitFor(() => read, { deadlineMs, what: 'the list' })
  await stack.post(`/task/${one}/finish`, { status: 'succeeded' })
  const items = () => page.evaluate(() => window.tidings.tasks.getSnapshot().items)
  await waitFor(async () => (await items()).some(({ status: now }) => now === 'succeeded'), { deadlineMs, what: 'the word' })
  release?.()
  await waitFor(async () => (await items()).length === 2, { deadlineMs, what: 'the list' })
  expect((await items()).map(({ taskId, status: now }) => [taskId, now])).toEqual([
    [two, 'queued'],
    [one, 'succeeded'],
  ])
})

test('a list that could not be read is read again', async () => {
  await newTask(8, 'told late')
  const device = await stack.device(8)
  const page = await device.tab()
  await status(page, 'connected')
  let refused = 0
  await page.route('**/task?**', (route) => (refused < 3 ? (refused++, route.fulfill({ status: 503 })) : route.continue()))
  await page.evaluate(() => void window.tidings.tasks.subscribe(() => {}))
  const titles = () =>
    page.evaluate(() =>
      window.tidings.tasks
        .getSnapshot()
        .items.map(({ title }) => title)
        .join(),
    )
  await waitFor(async () => (await titles()) === 'told late', { deadlineMs, what: 'the list' })
  expect(refused).toBe(3)
})

test('somebody else signs in while the list is being read: it is not theirs', async () => {
  await newTask(9, "the first one's")
  await newTask(10, "the second one's")
  // By whom its inbox is for the page finds out who has signed in.
  await stack.send(10, 'hello')
  const device = await stack.device(9)
  const page = await device.tab()
  await status(page, 'connected')
  let release: (() => void) | undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  let read = 0
  await page.route('**/task?**', async (route) => {
    const response = await route.fetch()
    if (++read === 1) await held
    await route.fulfill({ response })
  })
  await page.evaluate(() => {
    Object.assign(window, { seen: [] as string[] })
    window.tidings.tasks.subscribe(() => {
      const { seen } = window as unknown as { seen: string[] }
      seen.push(...window.tidings.tasks.getSnapshot().items.map(({ title }) => title ?? ''))
    })
  })
  await waitFor(() => read === 1, { deadlineMs, what: 'the first list' })
  await device.signIn(10)
  await page.evaluate(() => void window.tidings.inbox.reload())
  const seen = () => page.evaluate(() => (window as unknown as { seen: string[] }).seen)
  await waitFor(async () => (await seen()).includes("the second one's"), { deadlineMs, what: 'the second list' })
  const answered = page.waitForResponse('**/task?**')
  release?.()
  await (await answered).finished()
  // One more look after the answer has been read.
  await newTask(10, 'later')
  await waitFor(async () => (await seen()).includes('later'), { deadlineMs, what: 'what comes later' })
  expect(await seen()).not.toContain("the first one's")
})

test("another member's task is unknown, and what can be no task's id is refused", async () => {
  const device = await stack.device(5)
  const page = await device.tab()
  await status(page, 'connected')
  const foreign = await newTask(6)
  await append(foreign, 'secret')
  await follow(page, foreign)
  const own = await newTask(5)
  await follow(page, own)
  await append(own, 'mine')
  await text(page, own, 'mine')
  expect(await task(page, foreign)).toEqual({ taskId: foreign, status: 'unknown', text: '', data: [] })
  const error = await page.evaluate(() => {
    try {
      window.tidings.task('../other')
      return ''
    } catch (refusal) {
      return String(refusal)
    }
  })
  expect(error).toContain('not a task id')
})
