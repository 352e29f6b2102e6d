import { waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, given, inbox, status, unread } from './client-fact.test.fixture.ts'
import { type ClientStack, openClientStack } from './client-stack.test.fixture.ts'

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_inbox')
}, 120_000)
afterAll(() => stack?.close())

test('pages follow on one another without hole or repeat, also while new ones come', async () => {
  const messages: string[] = []
  const send = async () => {
    messages.unshift(`message-${messages.length}`)
    await stack.send(1, messages[0] ?? '')
  }
  for (let at = 0; at < 25; at += 1) await send()
  const device = await stack.device(1)
  const page = await device.tab({ pageSize: 10 })
  await status(page, 'connected')
  await unread(page, 25)
  expect(await inbox(page)).toMatchObject({ hasMore: true, items: { length: 10 } })
  await send()
  // A count may be ahead of what it counts.
  await given(page, ['message-25'])
  await unread(page, 26)
  const loads = await page.evaluate(() => Promise.all([window.tidings.inbox.loadMore(), window.tidings.inbox.loadMore()]))
  expect(loads).toEqual([true, true])
  expect(await inbox(page)).toMatchObject({ hasMore: true, items: { length: 21 } })
  await page.evaluate(() => window.tidings.inbox.loadMore())
  const { items, hasMore } = await inbox(page)
  expect(items.map(({ message }) => message)).toEqual(messages)
  expect(hasMore).toBe(false)
  // What was there before is no news.
  await given(page, ['message-25'])
})

test('shown as read at once, and taken back when the server refuses', async () => {
  const device = await stack.device(2)
  const page = await device.tab()
  await status(page, 'connected')
  for (const message of ['a', 'b', 'c']) await stack.send(2, message)
  await given(page, ['a', 'b', 'c'])
  await unread(page, 3)
  const answers: (() => void)[] = []
  await page.route('**/notification/**', async (route) => {
    if (route.request().method() !== 'POST') return route.continue()
    await new Promise<void>((resolve) => answers.push(resolve))
    return route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"title":"busy","detail":"try later"}' })
  })
  const [newest] = (await inbox(page)).items
  // What it says is gone after the next success, which may be that of a page still on its way: so it is taken with the answers.
  const marks = page.evaluate(async (id) => {
    const accepted = await Promise.all([window.tidings.inbox.markRead(id), window.tidings.inbox.markAllRead()])
    return { accepted, after: window.tidings.inbox.getSnapshot() }
  }, newest?.notificationId ?? 0)
  await unread(page, 0)
  expect((await inbox(page)).items.every(({ readAt }) => readAt !== null)).toBe(true)
  await waitFor(() => answers.length === 2, { deadlineMs, what: 'both calls' })
  for (const answer of answers) answer()
  expect(await marks).toMatchObject({ accepted: [false, false], after: { status: 'ready', error: 'try later' } })
  await unread(page, 3)
  expect((await inbox(page)).items.every(({ readAt }) => readAt === null)).toBe(true)
  await page.unroute('**/notification/**')
  expect(await page.evaluate((id) => window.tidings.inbox.markRead(id), newest?.notificationId ?? 0)).toBe(true)
  await unread(page, 2)
  expect((await inbox(page)).error).toBeUndefined()
})

test('one that is not there cannot be read, and that is said', async () => {
  const device = await stack.device(3)
  const page = await device.tab()
  await status(page, 'connected')
  await unread(page, 0)
  // Together: a page still on its way is a success, after which nothing has failed.
  const { accepted, after } = await page.evaluate(async () => ({
    accepted: await window.tidings.inbox.markRead(9_999_999),
    after: window.tidings.inbox.getSnapshot(),
  }))
  expect(accepted).toBe(false)
  expect(after).toMatchObject({ status: 'ready', unreadCount: 0, error: expect.stringContaining('no such') })
})

test('an inbox that cannot be read says so, and is read as soon as it can be', async () => {
  await stack.send(4, 'hello')
  const device = await stack.device(4)
  await device.context.route('**/notification?**', (route) => route.fulfill({ status: 500, body: '' }))
  const page = await device.tab()
  await waitFor(async () => (await inbox(page)).status === 'error', { deadlineMs, what: 'an error' })
  expect((await inbox(page)).error).toBe('HTTP 500')
  await device.context.unroute('**/notification?**')
  await unread(page, 1)
  expect((await inbox(page)).error).toBeUndefined()
})

test('a snapshot is the same object until something changes', async () => {
  const device = await stack.device(5)
  const page = await device.tab()
  await status(page, 'connected')
  await unread(page, 0)
  const same = await page.evaluate(() => [
    window.tidings.inbox.getSnapshot() === window.tidings.inbox.getSnapshot(),
    window.tidings.connection.getSnapshot() === window.tidings.connection.getSnapshot(),
  ])
  expect(same).toEqual([true, true])
})
