import { waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, readInbox, waitForNotifications, waitForStatus, waitForUnread } from './fixture/client-state.ts'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_inbox')
}, 120_000)
afterAll(() => stack?.close())

test('loads page after page without a gap or a repeat while new notifications arrive', async () => {
  const messages: string[] = []
  const send = async () => {
    messages.unshift(`message-${messages.length}`)
    await stack.send(1, messages[0] ?? '')
  }
  for (let at = 0; at < 25; at += 1) await send()
  const device = await stack.openDevice(1)
  const page = await device.openTab({ pageSize: 10 })
  await waitForStatus(page, 'connected')
  await waitForUnread(page, 25)
  expect(await readInbox(page)).toMatchObject({ hasMore: true, items: { length: 10 } })
  await send()
  // The count may include a notification before it arrives, so wait for the notification first.
  await waitForNotifications(page, ['message-25'])
  await waitForUnread(page, 26)
  const loads = await page.evaluate(() => Promise.all([window.tidings.inbox.loadMore(), window.tidings.inbox.loadMore()]))
  expect(loads).toEqual([true, true])
  expect(await readInbox(page)).toMatchObject({ hasMore: true, items: { length: 21 } })
  await page.evaluate(() => window.tidings.inbox.loadMore())
  const { items, hasMore } = await readInbox(page)
  expect(items.map(({ message }) => message)).toEqual(messages)
  expect(hasMore).toBe(false)
  // Notifications that were in the inbox at the start are not delivered as new.
  await waitForNotifications(page, ['message-25'])
})

test('marks as read at once, and reverts when the server refuses', async () => {
  const device = await stack.openDevice(2)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  for (const message of ['a', 'b', 'c']) await stack.send(2, message)
  await waitForNotifications(page, ['a', 'b', 'c'])
  await waitForUnread(page, 3)
  const respond: (() => void)[] = []
  await page.route('**/notification/**', async (route) => {
    if (route.request().method() !== 'POST') return route.continue()
    await new Promise<void>((resolve) => respond.push(resolve))
    return route.fulfill({ status: 503, contentType: 'application/problem+json', body: '{"title":"busy","detail":"try later"}' })
  })
  const [newest] = (await readInbox(page)).items
  // The snapshot is taken together with the results: a page that is still being loaded clears the error when it succeeds.
  const marks = page.evaluate(async (id) => {
    const accepted = await Promise.all([window.tidings.inbox.markRead(id), window.tidings.inbox.markAllRead()])
    return { accepted, after: window.tidings.inbox.getSnapshot() }
  }, newest?.notificationId ?? 0)
  await waitForUnread(page, 0)
  expect((await readInbox(page)).items.every(({ readAt }) => readAt !== null)).toBe(true)
  await waitFor(() => respond.length === 2, { deadlineMs, what: 'both requests' })
  for (const each of respond) each()
  expect(await marks).toMatchObject({
    accepted: [false, false],
    after: { status: 'ready', error: { code: 'unavailable', message: 'try later' } },
  })
  await waitForUnread(page, 3)
  expect((await readInbox(page)).items.every(({ readAt }) => readAt === null)).toBe(true)
  await page.unroute('**/notification/**')
  expect(await page.evaluate((id) => window.tidings.inbox.markRead(id), newest?.notificationId ?? 0)).toBe(true)
  await waitForUnread(page, 2)
  expect((await readInbox(page)).error).toBeUndefined()
})

test('reports an error when an unknown notification is marked as read', async () => {
  const device = await stack.openDevice(3)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await waitForUnread(page, 0)
  // The snapshot is taken together with the result: a page that is still being loaded clears the error when it succeeds.
  const { accepted, after } = await page.evaluate(async () => ({
    accepted: await window.tidings.inbox.markRead(9_999_999),
    after: window.tidings.inbox.getSnapshot(),
  }))
  expect(accepted).toBe(false)
  expect(after).toMatchObject({
    status: 'ready',
    unreadCount: 0,
    error: { code: 'not-found', message: expect.stringContaining('no such') },
  })
  expect(await page.evaluate(() => window.errors)).toEqual([after.error])
  expect(await page.evaluate(() => window.log)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^>>> CONNECT/),
      'leads: {"status":"connected"}',
      'POST /notification/9999999/read: 404',
    ]),
  )
})

test('has the status error when the inbox cannot be read, and recovers as soon as it can', async () => {
  await stack.send(4, 'hello')
  const device = await stack.openDevice(4)
  const respond = (response: { status: number; body: string }) =>
    device.context.route('**/notification?**', (route) => route.fulfill(response))
  const waitForError = (code: string) =>
    waitFor(async () => (await readInbox(page)).error?.code === code, { deadlineMs, what: `the error ${code}` })
  await respond({ status: 500, body: '' })
  const page = await device.openTab()
  await waitForError('unavailable')
  expect(await readInbox(page)).toMatchObject({ status: 'error', error: { message: 'HTTP 500' } })
  // A sign-in page of the network.
  await respond({ status: 200, body: '<html>' })
  await waitForError('network')
  await respond({ status: 403, body: '{"detail":"no"}' })
  await waitForError('forbidden')
  await device.context.unroute('**/notification?**')
  await waitForUnread(page, 1)
  expect((await readInbox(page)).error).toBeUndefined()
})

test('subscribe() calls a listener with the value, at once and after each change, as a Svelte store does', async () => {
  const device = await stack.openDevice(6)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await stack.send(6, 'early')
  await waitForNotifications(page, ['early'])
  await waitForUnread(page, 1)
  const counts = await page.evaluateHandle(() => {
    const received: number[] = []
    window.tidings.inbox.subscribe(({ unreadCount }) => received.push(unreadCount))
    return { received, atOnce: [...received] }
  })
  expect((await counts.jsonValue()).atOnce).toEqual([1])
  await stack.send(6, 'late')
  await waitFor(async () => (await counts.jsonValue()).received.at(-1) === 2, { deadlineMs, what: 'the next value' })
})

test('returns the same snapshot object until something changes', async () => {
  const device = await stack.openDevice(5)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await waitForUnread(page, 0)
  const same = await page.evaluate(() => [
    window.tidings.inbox.getSnapshot() === window.tidings.inbox.getSnapshot(),
    window.tidings.connection.getSnapshot() === window.tidings.connection.getSnapshot(),
  ])
  expect(same).toEqual([true, true])
})
