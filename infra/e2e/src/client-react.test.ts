import { randomUUID } from 'node:crypto'
import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, waitForStatus } from './fixture/client-state.ts'
import type { Mounted } from './fixture/client-react-page.tsx'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_react', { entry: 'client-react-page.tsx' })
}, 120_000)
afterAll(() => stack?.close())

const mount = (page: Page, components: Mounted) => page.evaluate((mounted) => window.mount(mounted), components)
const texts = (page: Page, selector: string) => page.locator(selector).allTextContents()

/** Resolves when the elements that match the selector have exactly these texts. */
function waitForTexts(page: Page, selector: string, wanted: readonly string[]): Promise<boolean> {
  const same = async () => JSON.stringify(await texts(page, selector)) === JSON.stringify(wanted)
  return waitFor(same, { deadlineMs, what: `${selector} ${JSON.stringify(wanted)}` })
}

async function newTask(memberId: number, title: string): Promise<string> {
  const taskId = randomUUID()
  await stack.post('/task', { taskId, memberId, kind: 'answer', title })
  return taskId
}

const append = (taskId: string, text: string) => stack.post(`/task/${taskId}/event`, { type: 'append', text })

/** Resolves to the ids of the tasks that the member's sessions are subscribed to on the gateways. */
async function subscribedTasks(memberId: number): Promise<string[]> {
  const sessions = await stack.readSessions(memberId)
  const destinations = sessions.flatMap(({ subscriptions }) => subscriptions.map(({ destination }) => destination))
  return destinations.flatMap((destination) => destination.split('/task.')[1] ?? [])
}

function waitForSubscribedTasks(memberId: number, taskIds: readonly string[]): Promise<boolean> {
  const same = async () => (await subscribedTasks(memberId)).toSorted().join() === taskIds.toSorted().join()
  return waitFor(same, { deadlineMs, what: `subscriptions to ${taskIds.length} tasks` })
}

test('useInbox: shows each notification once, and its functions work after destructuring', async () => {
  for (const message of ['a', 'b', 'c']) await stack.send(1, message)
  const page = await (await stack.openDevice(1)).openTab({ pageSize: 2 })
  await mount(page, { bell: true })
  await waitForTexts(page, 'section button', ['c unread', 'b unread'])
  await page.getByRole('button', { name: 'More' }).click()
  await waitForTexts(page, 'section button', ['c unread', 'b unread', 'a unread'])
  await waitForStatus(page, 'connected')
  await stack.send(1, 'd')
  await waitForTexts(page, 'section button', ['d unread', 'c unread', 'b unread', 'a unread'])
  await page.getByRole('button', { name: 'c unread' }).click()
  await waitForTexts(page, 'section button', ['d unread', 'c read', 'b unread', 'a unread'])
  await waitForTexts(page, 'section output', ['ready 3'])
  await page.getByRole('button', { name: 'All read' }).click()
  await waitForTexts(page, 'section button', ['d read', 'c read', 'b read', 'a read'])
  await waitForTexts(page, 'section output', ['ready 0'])
})

test('useConnection: follows the connection, and does not render for other changes', async () => {
  const page = await (await stack.openDevice(2)).openTab()
  await mount(page, { bell: true, connectionStatus: true })
  await waitForTexts(page, '[role=status]', ['connected'])
  await waitForTexts(page, 'section output', ['ready 0'])
  const renders = () => page.evaluate(() => ({ ...window.renders }))
  const before = await renders()
  await stack.send(2, 'for the bell')
  await waitForTexts(page, 'section output', ['ready 1'])
  const after = await renders()
  expect(after['connectionStatus']).toBe(before['connectionStatus'])
  expect(after['bell']).toBeGreaterThan(before['bell'] ?? 0)
  stack.proxy.takeDown()
  await waitFor(async () => !(await texts(page, '[role=status]')).includes('connected'), {
    deadlineMs,
    what: 'the lost connection',
  })
  stack.proxy.bringUp()
  await waitForTexts(page, '[role=status]', ['connected'])
})

test('useTask: makes one subscription for two components in StrictMode, and shows each character once', async () => {
  const page = await (await stack.openDevice(3)).openTab()
  await waitForStatus(page, 'connected')
  const taskId = await newTask(3, 'an answer')
  await append(taskId, 'before ')
  await mount(page, { answers: [taskId, taskId] })
  await waitForTexts(page, 'article p', ['before ', 'before '])
  await append(taskId, 'after')
  await waitForTexts(page, 'article p', ['before after', 'before after'])
  expect(await subscribedTasks(3)).toEqual([taskId])
  await page.getByRole('button', { name: 'running' }).first().click()
  await waitForTexts(page, 'article button', ['cancelled', 'cancelled'])
})

test('useTask: unsubscribes when the last component unmounts, and shows the whole text after a new mount', async () => {
  const page = await (await stack.openDevice(4)).openTab()
  await waitForStatus(page, 'connected')
  const [one, two] = [await newTask(4, 'one'), await newTask(4, 'two')]
  await append(one, 'first ')
  await mount(page, { answers: [one, one, two] })
  await waitForTexts(page, 'article p', ['first ', 'first ', ''])
  await waitForSubscribedTasks(4, [one, two])
  // The second component switches to the other task.
  await mount(page, { answers: [one, two] })
  await waitForTexts(page, 'article button', ['running', 'queued'])
  await append(one, 'second ')
  await waitForTexts(page, 'article p', ['first second ', ''])
  await waitForSubscribedTasks(4, [one, two])
  await mount(page, {})
  await waitForSubscribedTasks(4, [])
  await append(one, 'third')
  await mount(page, { answers: [one] })
  await waitForTexts(page, 'article p', ['first second third'])
  await waitForSubscribedTasks(4, [one])
})

test('useTasks: adds announced tasks and applies announced ends', async () => {
  const early = await newTask(5, 'early')
  const page = await (await stack.openDevice(5)).openTab()
  await mount(page, { taskList: true })
  await waitForTexts(page, 'li', ['early queued'])
  await waitForStatus(page, 'connected')
  await newTask(5, 'late')
  await stack.post(`/task/${early}/finish`, { status: 'succeeded' })
  await waitForTexts(page, 'li', ['late queued', 'early succeeded'])
})

test('ends every subscription at unmount, including those that StrictMode makes twice', async () => {
  const page = await (await stack.openDevice(6)).openTab()
  const subscriptions = () => page.evaluate(() => window.subscriptions)
  const all: Mounted = { bell: true, connectionStatus: true, taskList: true }
  for (let round = 0; round < 3; round += 1) {
    await mount(page, all)
    await waitForTexts(page, '[role=status]', ['connected'])
    await waitFor(async () => Object.values(await subscriptions()).join() === '1,1,1', {
      deadlineMs,
      what: 'one subscription to each store',
    })
    await mount(page, {})
    await waitFor(async () => Object.values(await subscriptions()).join() === '0,0,0', { deadlineMs, what: 'no subscription' })
  }
})

test('useInbox with a selector: renders only when the selected value changes', async () => {
  const page = await (await stack.openDevice(8)).openTab()
  await mount(page, { bell: true, count: true })
  await stack.send(8, 'one')
  await waitForTexts(page, 'section button', ['one unread'])
  await waitForTexts(page, 'section output', ['ready 1'])
  expect(await page.locator('meter').getAttribute('value')).toBe('1')
  const renders = () => page.evaluate(() => ({ ...window.renders }))
  const before = await renders()
  // A reload replaces the state, and the count stays.
  await page.evaluate(() => window.tidings.inbox.reload())
  await page.evaluate(() => window.tidings.inbox.markRead(9_999_999))
  const after = await renders()
  expect(after['bell']).toBeGreaterThan(before['bell'] ?? 0)
  expect(after['count']).toBe(before['count'])
})

test('useMessages: calls the listener of the latest render, until the component unmounts', async () => {
  const page = await (await stack.openDevice(9)).openTab()
  await waitForStatus(page, 'connected')
  const destination = '/member/queue/cart'
  await mount(page, { topic: destination })
  const subscribed = async () =>
    (await stack.readSessions(9)).some(({ subscriptions }) => subscriptions.some((each) => each.destination === destination))
  await waitFor(subscribed, { deadlineMs, what: 'the subscription' })
  for (const [body, text] of [
    ['a', 'a'],
    ['b', 'a b'],
  ] as const) {
    await stack.post('/message', { destination, memberIds: [9], body })
    await waitForTexts(page, 'code', [text])
  }
  await mount(page, {})
  await waitFor(async () => !(await subscribed()), { deadlineMs, what: 'no subscription' })
})

test('the hooks return idle states for a task that is not known yet, and while nothing is provided', async () => {
  const page = await (await stack.openDevice(10)).openTab()
  await waitForStatus(page, 'connected')
  await mount(page, { noAnswer: true })
  await waitForTexts(page, 'article button', ['unknown'])
  const everything: Mounted = { bell: true, connectionStatus: true, taskList: true, topic: '/member/queue/cart', noAnswer: true }
  await mount(page, { ...everything, early: true })
  await waitForTexts(page, 'section output', ['idle 0'])
  await waitForTexts(page, '[role=status]', ['stopped'])
  await page.getByRole('button', { name: 'All read' }).click()
  await mount(page, everything)
  await waitForTexts(page, 'section output', ['ready 0'])
  await waitForTexts(page, '[role=status]', ['connected'])
})

test('throws an error that names the missing provider when a hook has none', async () => {
  const page = await (await stack.openDevice(7)).openTab()
  expect(await page.evaluate(() => window.mountWithoutProvider())).toContain(
    'useTidings needs a <TidingsProvider tidings={…}> above it',
  )
})
