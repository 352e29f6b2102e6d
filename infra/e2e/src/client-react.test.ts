import { randomUUID } from 'node:crypto'
import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, status } from './client-fact.test.fixture.ts'
import type { Mounted } from './client-react-page.tsx'
import { type ClientStack, openClientStack } from './client-stack.test.fixture.ts'

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_react', { entry: 'client-react-page.tsx' })
}, 120_000)
afterAll(() => stack?.close())

const mount = (page: Page, components: Mounted) => page.evaluate((given) => window.mount(given), components)
const texts = (page: Page, selector: string) => page.locator(selector).allTextContents()

function shows(page: Page, selector: string, wanted: readonly string[]): Promise<boolean> {
  const same = async () => JSON.stringify(await texts(page, selector)) === JSON.stringify(wanted)
  return waitFor(same, { deadlineMs, what: `${selector} ${JSON.stringify(wanted)}` })
}

async function newTask(memberId: number, title: string): Promise<string> {
  const taskId = randomUUID()
  await stack.post('/task', { taskId, memberId, kind: 'answer', title })
  return taskId
}

const append = (taskId: string, text: string) => stack.post(`/task/${taskId}/event`, { type: 'append', text })

/** The tasks that the gateways send to a member. */
async function followed(memberId: number): Promise<string[]> {
  const sessions = await stack.sessionsOf(memberId)
  const destinations = sessions.flatMap(({ subscriptions }) => subscriptions.map(({ destination }) => destination))
  return destinations.flatMap((destination) => destination.split('/task.')[1] ?? [])
}

function follows(memberId: number, taskIds: readonly string[]): Promise<boolean> {
  const same = async () => (await followed(memberId)).toSorted().join() === taskIds.toSorted().join()
  return waitFor(same, { deadlineMs, what: `subscriptions to ${taskIds.length} tasks` })
}

test('useInbox: what arrives is shown once; its calls may be taken off it', async () => {
  for (const message of ['a', 'b', 'c']) await stack.send(1, message)
  const page = await (await stack.device(1)).tab({ pageSize: 2 })
  await mount(page, { bell: true })
  await shows(page, 'section button', ['c unread', 'b unread'])
  await page.getByRole('button', { name: 'More' }).click()
  await shows(page, 'section button', ['c unread', 'b unread', 'a unread'])
  await status(page, 'connected')
  await stack.send(1, 'd')
  await shows(page, 'section button', ['d unread', 'c unread', 'b unread', 'a unread'])
  await page.getByRole('button', { name: 'c unread' }).click()
  await shows(page, 'section button', ['d unread', 'c read', 'b unread', 'a unread'])
  await shows(page, 'section output', ['ready 3'])
  await page.getByRole('button', { name: 'All read' }).click()
  await shows(page, 'section button', ['d read', 'c read', 'b read', 'a read'])
  await shows(page, 'section output', ['ready 0'])
})

test('useConnection: follows the connection, and nothing else renders it', async () => {
  const page = await (await stack.device(2)).tab()
  await mount(page, { bell: true, light: true })
  await shows(page, '[role=status]', ['connected'])
  await shows(page, 'section output', ['ready 0'])
  const renders = () => page.evaluate(() => ({ ...window.renders }))
  const before = await renders()
  await stack.send(2, 'for the bell')
  await shows(page, 'section output', ['ready 1'])
  const after = await renders()
  expect(after['light']).toBe(before['light'])
  expect(after['bell']).toBeGreaterThan(before['bell'] ?? 0)
  stack.wire.down()
  await waitFor(async () => !(await texts(page, '[role=status]')).includes('connected'), { deadlineMs, what: 'the loss' })
  stack.wire.up()
  await shows(page, '[role=status]', ['connected'])
})

test('useTask: mounted twice by StrictMode, and by two components, it is one subscription with each character once', async () => {
  const page = await (await stack.device(3)).tab()
  await status(page, 'connected')
  const taskId = await newTask(3, 'an answer')
  await append(taskId, 'before ')
  await mount(page, { answers: [taskId, taskId] })
  await shows(page, 'article p', ['before ', 'before '])
  await append(taskId, 'after')
  await shows(page, 'article p', ['before after', 'before after'])
  expect(await followed(3)).toEqual([taskId])
  await page.getByRole('button', { name: 'running' }).first().click()
  await shows(page, 'article button', ['cancelled', 'cancelled'])
})

test('useTask: the last to unmount ends the subscription; who comes back has all of it', async () => {
  const page = await (await stack.device(4)).tab()
  await status(page, 'connected')
  const [one, two] = [await newTask(4, 'one'), await newTask(4, 'two')]
  await append(one, 'first ')
  await mount(page, { answers: [one, one, two] })
  await shows(page, 'article p', ['first ', 'first ', ''])
  await follows(4, [one, two])
  // The second component follows the other task now.
  await mount(page, { answers: [one, two] })
  await shows(page, 'article button', ['running', 'queued'])
  await append(one, 'second ')
  await shows(page, 'article p', ['first second ', ''])
  await follows(4, [one, two])
  await mount(page, {})
  await follows(4, [])
  await append(one, 'third')
  await mount(page, { answers: [one] })
  await shows(page, 'article p', ['first second third'])
  await follows(4, [one])
})

test('useTasks: the list as it is announced', async () => {
  const early = await newTask(5, 'early')
  const page = await (await stack.device(5)).tab()
  await mount(page, { list: true })
  await shows(page, 'li', ['early queued'])
  await status(page, 'connected')
  await newTask(5, 'late')
  await stack.post(`/task/${early}/finish`, { status: 'succeeded' })
  await shows(page, 'li', ['late queued', 'early succeeded'])
})

test('unmounting ends every subscription, also those that StrictMode made twice', async () => {
  const page = await (await stack.device(6)).tab()
  const subscriptions = () => page.evaluate(() => window.subscriptions)
  const all: Mounted = { bell: true, light: true, list: true }
  for (let round = 0; round < 3; round += 1) {
    await mount(page, all)
    await shows(page, '[role=status]', ['connected'])
    await waitFor(async () => Object.values(await subscriptions()).join() === '1,1,1', { deadlineMs, what: 'one of each' })
    await mount(page, {})
    await waitFor(async () => Object.values(await subscriptions()).join() === '0,0,0', { deadlineMs, what: 'none' })
  }
})

test('a hook without a provider says what is missing', async () => {
  const page = await (await stack.device(7)).tab()
  expect(await page.evaluate(() => window.mountAlone())).toContain('useTidings needs a <TidingsProvider tidings={…}> above it')
})
