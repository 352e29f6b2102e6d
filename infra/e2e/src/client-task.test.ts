import { randomUUID } from 'node:crypto'
import type { TaskEvent, TaskState } from '@tidings/client'
import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, waitForStatus } from './fixture/client-state.ts'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

declare global {
  interface Window {
    events: TaskEvent[]
  }
}

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_task')
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

function readTask(page: Page, taskId: string): Promise<TaskState> {
  return page.evaluate((id) => window.tidings.task(id).getSnapshot(), taskId)
}

/** Resolves when the page has this text of the task. */
function waitForText(page: Page, taskId: string, wanted: string): Promise<boolean> {
  return waitFor(async () => (await readTask(page, taskId)).text === wanted, {
    deadlineMs,
    what: `a text of ${wanted.length} characters`,
  })
}

test('shows the whole text on two devices despite a late tab, a reload, dropped connections and a closed leading tab', async () => {
  const here = await stack.openDevice(1)
  const there = await stack.openDevice(1)
  const [first, second, elsewhere] = [await here.openTab(), await here.openTab(), await there.openTab()]
  for (const page of [first, second, elsewhere]) await waitForStatus(page, 'connected')
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
  for (const page of [first, elsewhere]) await waitForText(page, taskId, written)

  const writing = write(40)
  await follow(second, taskId)
  stack.proxy.dropConnections()
  await writing
  for (const page of [first, second, elsewhere]) await waitForText(page, taskId, written)

  const writingMore = write(40)
  await first.close()
  await elsewhere.reload()
  await waitForStatus(elsewhere, 'connected')
  await follow(elsewhere, taskId)
  await writingMore
  await stack.post(`/task/${taskId}/finish`, { status: 'succeeded', result: { tokens: 100 } })
  for (const page of [second, elsewhere]) {
    await waitFor(async () => (await readTask(page, taskId)).status === 'succeeded', { deadlineMs, what: 'the status succeeded' })
    expect(await readTask(page, taskId)).toMatchObject({
      text: written,
      result: { tokens: 100 },
      kind: 'chat',
      title: 'an answer',
    })
  }
})

test('yields a snapshot and then each event to an iterator, and ends with the task', async () => {
  const device = await stack.openDevice(2)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
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
  expect(await readTask(page, taskId)).toMatchObject({ percent: 40, data: [{ source: 'manual.pdf' }], error: 'no more paper' })
})

test('yields a finished task from what is stored', async () => {
  const taskId = await newTask(3)
  await append(taskId, 'all of it')
  await stack.post(`/task/${taskId}/finish`, { status: 'succeeded' })
  const device = await stack.openDevice(3)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
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

test('refuses the producer of a cancelled task, and updates the list of tasks', async () => {
  const device = await stack.openDevice(4)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
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

test('keeps an announcement that arrives while the list is being read, as it is newer than the list', async () => {
  // Created before the page subscribes, so that only the list contains them.
  const [one, two] = [await newTask(7, 'one'), await newTask(7, 'two')]
  const device = await stack.openDevice(7)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  let release: (() => void) | undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  let listFetched = false
  await page.route('**/task?**', async (route) => {
    const response = await route.fetch()
    listFetched = true
    await held
    await route.fulfill({ response })
  })
  await page.evaluate(() => void window.tidings.tasks.subscribe(() => {}))
  await waitFor(() => listFetched, { deadlineMs, what: 'the request for the list' })
  await stack.post(`/task/${one}/finish`, { status: 'succeeded' })
  const items = () => page.evaluate(() => window.tidings.tasks.getSnapshot().items)
  await waitFor(async () => (await items()).some(({ status: now }) => now === 'succeeded'), {
    deadlineMs,
    what: 'the announcement',
  })
  release?.()
  await waitFor(async () => (await items()).length === 2, { deadlineMs, what: 'the list' })
  expect((await items()).map(({ taskId, status: now }) => [taskId, now])).toEqual([
    [two, 'queued'],
    [one, 'succeeded'],
  ])
})

test('reads the list again when it could not be read', async () => {
  await newTask(8, 'listed late')
  const device = await stack.openDevice(8)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
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
  await waitFor(async () => (await titles()) === 'listed late', { deadlineMs, what: 'the list' })
  expect(refused).toBe(3)
})

test('does not show the list of the previous member when another member signs in while it is being read', async () => {
  await newTask(9, 'a task of the first member')
  await newTask(10, 'a task of the second member')
  // The page detects the new member by the notifications in its inbox.
  await stack.send(10, 'hello')
  const device = await stack.openDevice(9)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  let release: (() => void) | undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  let listRequests = 0
  await page.route('**/task?**', async (route) => {
    const response = await route.fetch()
    if (++listRequests === 1) await held
    await route.fulfill({ response })
  })
  await page.evaluate(() => {
    Object.assign(window, { seen: [] as string[] })
    window.tidings.tasks.subscribe(() => {
      const { seen } = window as unknown as { seen: string[] }
      seen.push(...window.tidings.tasks.getSnapshot().items.map(({ title }) => title ?? ''))
    })
  })
  await waitFor(() => listRequests === 1, { deadlineMs, what: 'the request for the first list' })
  await device.signIn(10)
  await page.evaluate(() => void window.tidings.inbox.reload())
  const seen = () => page.evaluate(() => (window as unknown as { seen: string[] }).seen)
  await waitFor(async () => (await seen()).includes('a task of the second member'), { deadlineMs, what: 'the second list' })
  const responded = page.waitForResponse('**/task?**')
  release?.()
  await (await responded).finished()
  // Create one more task: when it is listed, the released response has been handled.
  await newTask(10, 'later')
  await waitFor(async () => (await seen()).includes('later'), { deadlineMs, what: 'the later task' })
  expect(await seen()).not.toContain('a task of the first member')
})

test("has the status unknown for another member's task, and throws for an invalid task id", async () => {
  const device = await stack.openDevice(5)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  const foreign = await newTask(6)
  await append(foreign, 'secret')
  await follow(page, foreign)
  const own = await newTask(5)
  await follow(page, own)
  await append(own, 'mine')
  await waitForText(page, own, 'mine')
  expect(await readTask(page, foreign)).toEqual({ taskId: foreign, status: 'unknown', text: '', data: [] })
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
