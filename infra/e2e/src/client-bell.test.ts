import type { Locator, Page, Route } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectNoViolations } from './fixture/accessibility.ts'
import { deadlineMs } from './fixture/client-state.ts'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_bell', { entry: 'bell-page.ts' })
}, 120_000)
afterAll(() => stack?.close())

const pollOptions = { timeout: deadlineMs }
const bell = (page: Page, name: string | RegExp = /^Inbox/) => page.getByRole('button', { name })
const panel = (page: Page) => page.getByRole('dialog', { name: 'Inbox' })
const rows = (page: Page) => panel(page).getByRole('listitem')
const messages = (page: Page) => rows(page).locator('[part=message]').allTextContents()
const badge = (page: Page) => page.locator('tidings-bell [part~=badge]')
const shown = (locator: Locator) => locator.waitFor({ timeout: deadlineMs })

/** Sends notifications one after the other, numbered from 1. */
async function sendMany(memberId: number, count: number, name = 'message'): Promise<void> {
  for (let number = 1; number <= count; number += 1) await stack.send(memberId, `${name}-${number}`)
}

async function openBell(memberId: number): Promise<Page> {
  const device = await stack.openDevice(memberId)
  const page = await device.openTab()
  await bell(page).click()
  return page
}

test('shows with one line of HTML an inbox of three pages, each notification once and the newest first', async () => {
  await sendMany(1, 45)
  const page = await openBell(1)
  await shown(bell(page, 'Inbox, 45 unread'))
  await expect.poll(() => rows(page).count(), pollOptions).toBe(20)
  for (const loaded of [40, 45]) {
    await panel(page)
      .locator('[part=body]')
      .evaluate((body) => body.scrollTo({ top: body.scrollHeight }))
    await expect.poll(() => rows(page).count(), pollOptions).toBe(loaded)
  }
  await shown(page.getByText('That is everything.'))
  expect(await messages(page)).toEqual(Array.from({ length: 45 }, (_, at) => `message-${45 - at}`))
})

test('shows on the other device that one notification, and then all, were marked as read', async () => {
  await sendMany(2, 3)
  const [here, there] = await Promise.all([openBell(2), openBell(2)])
  await here.getByRole('button', { name: 'Mark as read: message-2' }).click()
  await shown(bell(there, 'Inbox, 2 unread'))
  await there.getByRole('button', { name: 'Mark all read' }).click()
  await shown(bell(here, 'Inbox, nothing unread'))
  expect(await here.getByRole('button', { name: /^Mark as read/ }).count()).toBe(0)
  expect(await here.getByRole('button', { name: 'Mark all read' }).getAttribute('aria-disabled')).toBe('true')
})

test('holds back what arrives while the panel is open, does not mark it as read, and announces it', async () => {
  await sendMany(3, 2)
  const page = await openBell(3)
  await expect.poll(() => rows(page).count(), pollOptions).toBe(2)
  await sendMany(3, 2, 'late')
  const held = page.getByRole('button', { name: '2 new' })
  await shown(held)
  await shown(page.getByRole('status').getByText('New notification: late-2'))
  expect(await rows(page).count()).toBe(2)
  await page.getByRole('button', { name: 'Mark all read' }).click()
  await shown(bell(page, 'Inbox, 2 unread'))
  await held.click()
  await expect.poll(() => messages(page), pollOptions).toEqual(['late-2', 'late-1', 'message-2', 'message-1'])
  expect(await page.getByRole('button', { name: /^Mark as read/ }).count()).toBe(2)
})

test('is used by keyboard, and closes with Escape and with a press outside', async () => {
  await sendMany(4, 3)
  const device = await stack.openDevice(4)
  const page = await device.openTab()
  await shown(bell(page, 'Inbox, 3 unread'))
  const focused = () =>
    page.evaluate(() => {
      const element = document.activeElement?.shadowRoot?.activeElement
      return element?.getAttribute('aria-label') ?? element?.textContent
    })
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  expect(await focused()).toMatch(/^Inbox, 3 unread/)
  await page.keyboard.press('Enter')
  await expect.poll(focused, pollOptions).toBe('Inbox')
  await expect.poll(() => rows(page).count(), pollOptions).toBe(3)
  for (const key of ['Tab', 'Tab', 'Tab', 'Tab']) await page.keyboard.press(key)
  expect(await focused()).toContain('message-3')
  await page.keyboard.press('ArrowDown')
  expect(await focused()).toContain('message-2')
  await page.keyboard.press('End')
  expect(await focused()).toContain('message-1')
  await page.keyboard.press('Tab')
  expect(await focused()).toBe('Mark as read: message-1')
  await page.keyboard.press('Enter')
  await shown(bell(page, 'Inbox, 2 unread'))
  await page.keyboard.press('Escape')
  await panel(page).waitFor({ state: 'hidden' })
  expect(await focused()).toMatch(/^Inbox, 2 unread/)

  await bell(page).click()
  await panel(page).waitFor()
  await page.mouse.click(5, 400)
  await panel(page).waitFor({ state: 'hidden' })
  await bell(page).click()
  await panel(page).waitFor()
  await bell(page).click()
  await panel(page).waitFor({ state: 'hidden' })
})

test('keeps lines and the direction of each message, shows a long one whole, and the exact time', async () => {
  for (const message of [`first line\nsecond line ${'of many words '.repeat(60)}the end`, 'تم استلام الدفعة']) {
    await stack.post('/notification/send', { memberId: 5, message, redirectPath: '/' })
  }
  const page = await openBell(5)
  await expect.poll(() => rows(page).count(), pollOptions).toBe(2)
  const [arabic, long] = [rows(page).nth(0), rows(page).nth(1)]
  expect(await arabic.locator('[part=message]').evaluate((element) => getComputedStyle(element).direction)).toBe('rtl')
  expect(await arabic.getByRole('button', { name: 'Show more' }).count()).toBe(0)
  const message = long.locator('[part=message]')
  expect(await message.evaluate((element) => getComputedStyle(element).whiteSpace)).toBe('pre-wrap')
  const clamped = () => message.evaluate((element) => element.scrollHeight > element.clientHeight + 1)
  expect(await clamped()).toBe(true)
  await long.getByRole('button', { name: 'Show more' }).click()
  expect(await clamped()).toBe(false)
  await long.getByRole('button', { name: 'Show less' }).click()
  expect(await clamped()).toBe(true)
  const time = long.locator('time')
  expect(await time.textContent()).toBe('just now')
  expect(await time.getAttribute('title')).toMatch(/^\w+day, .* \d{4}/)
})

test('follows the path of a notification and marks it as read, or leaves both to the page', async () => {
  await sendMany(6, 2)
  const page = await openBell(6)
  await page.evaluate(() => {
    const canceled: unknown[] = []
    Object.assign(globalThis, { canceled })
    document.addEventListener('tidings-open', (event) => {
      event.preventDefault()
      canceled.push((event as CustomEvent<{ redirectPath: string }>).detail.redirectPath)
    })
  })
  await page.getByRole('link', { name: /message-1/ }).click()
  await shown(bell(page, 'Inbox, 1 unread'))
  await panel(page).waitFor({ state: 'hidden' })
  expect(await page.evaluate(() => Reflect.get(globalThis, 'canceled'))).toEqual(['/message-1'])
  expect(new URL(page.url()).pathname).toBe('/')

  await page.reload()
  await bell(page, 'Inbox, 1 unread').click()
  await page.getByRole('link', { name: /message-2/ }).click()
  await page.waitForURL('**/message-2')
  await shown(bell(page, 'Inbox, nothing unread'))
})

test('turns the badge quiet when its notifications were seen, on all devices, until another one arrives', async () => {
  await sendMany(10, 2)
  const device = await stack.openDevice(10)
  const [page, other] = await Promise.all([device.openTab(), device.openTab()])
  const parts = (on: Page) => badge(on).getAttribute('part')
  for (const on of [page, other]) {
    await shown(bell(on, 'Inbox, 2 unread'))
    expect(await parts(on)).toBe('badge')
  }
  await bell(page).click()
  for (const on of [page, other]) await expect.poll(() => parts(on), pollOptions).toBe('badge badge-quiet')
  expect(await badge(other).textContent()).toBe('2')
  await page.keyboard.press('Escape')
  await sendMany(10, 1, 'late')
  for (const on of [page, other]) await expect.poll(() => parts(on), pollOptions).toBe('badge')
})

test('archives, restores, deletes and marks as unread, and lists what is unread, archived or of a kind', async () => {
  await sendMany(11, 3)
  await stack.post('/notification/send', { memberId: 11, message: 'an order', kind: 'order' })
  const page = await openBell(11)
  await expect.poll(() => messages(page), pollOptions).toEqual(['an order', 'message-3', 'message-2', 'message-1'])
  const act = (name: string) => page.getByRole('button', { name }).click()
  const choose = (name: string) => page.getByRole('tab', { name }).click()
  await act('Archive: message-2')
  await act('Mark as read: message-3')
  await page.evaluate(() => document.addEventListener('tidings-remove', (event) => event.preventDefault(), { once: true }))
  await act('Delete: message-1')
  await act('Delete: an order')
  await expect.poll(() => messages(page), pollOptions).toEqual(['message-3', 'message-1'])

  await choose('Unread')
  await expect.poll(() => messages(page), pollOptions).toEqual(['message-1'])
  await act('Mark as read: message-1')
  await shown(panel(page).getByText('Nothing unread'))
  await choose('Archived')
  await expect.poll(() => messages(page), pollOptions).toEqual(['message-2'])
  await act('Move to the inbox: message-2')
  await shown(panel(page).getByText('Nothing archived'))
  await page.keyboard.press('Home')
  await choose('All')
  await act('Mark as unread: message-1')
  await expect.poll(() => messages(page), pollOptions).toEqual(['message-3', 'message-2', 'message-1'])
  await shown(bell(page, 'Inbox, 2 unread'))

  await page.evaluate(() => {
    const element = document.querySelector('tidings-bell')
    if (element) element.kinds = [{ kind: 'order', label: 'Orders' }]
  })
  await stack.post('/notification/send', { memberId: 11, message: 'another order', kind: 'order' })
  await page.getByRole('tab', { name: 'All' }).focus()
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await expect.poll(() => messages(page), pollOptions).toEqual(['another order'])
  await shown(page.getByRole('tab', { name: 'Orders 1', selected: true }))
  // It has no path: it is marked as read, and nothing is followed.
  await page.getByRole('button', { name: /^Unread: another order/ }).click()
  await shown(bell(page, 'Inbox, 2 unread'))
})

test('speaks Korean, any other language by its texts, and reads from right to left', async () => {
  await sendMany(7, 1)
  const device = await stack.openDevice(7)
  const page = await device.openTab()
  await shown(bell(page, 'Inbox, 1 unread'))
  await page.evaluate(() => (document.documentElement.lang = 'ko'))
  await shown(page.getByRole('button', { name: '알림함, 읽지 않은 알림 1개' }))
  await page.evaluate(() => {
    const element = document.querySelector('tidings-bell')
    if (element) Object.assign(element, { lang: 'ar', texts: { title: 'الوارد', label: (unread: number) => `الوارد ${unread}` } })
    document.documentElement.dir = 'rtl'
  })
  await page.getByRole('button', { name: 'الوارد 1' }).click()
  await page.getByRole('dialog', { name: 'الوارد' }).waitFor()
  const { x, width } = (await page.getByRole('dialog').boundingBox()) ?? { x: -1, width: 0 }
  expect(x).toBeGreaterThanOrEqual(0)
  expect(x + width).toBeLessThanOrEqual(page.viewportSize()?.width ?? 0)
})

test('shows the inbox that the page gives it, in place of its own', async () => {
  await sendMany(8, 1)
  const page = await openBell(8)
  await shown(bell(page, 'Inbox, 1 unread'))
  const stopped = await page.evaluate(async () => {
    const element = document.querySelector('tidings-bell')
    const own = element?.tidings
    if (!element || !own) throw new Error('no bell')
    const inbox = {
      ...own.inbox,
      getSnapshot: () => ({ items: [], unreadCount: 7, unseenCount: 7, status: 'ready' as const, hasMore: false }),
    }
    element.tidings = { ...own, inbox }
    return own.connection.getSnapshot().status
  })
  expect(stopped).toBe('stopped')
  await shown(bell(page, 'Inbox, 7 unread'))
  await shown(panel(page).getByText('Nothing yet'))
})

test('has no accessibility violation in any state, theme and size, and recovers from each failure', async () => {
  const device = await stack.openDevice(9)
  const page = await device.openTab()
  await page.emulateMedia({ reducedMotion: 'reduce' })
  let response: 'held' | 'aborted' | 'passed' = 'held'
  const waiting: Route[] = []
  await page.route('**/notification?*', async (route) => {
    if (response === 'held') waiting.push(route)
    else await (response === 'aborted' ? route.abort() : route.continue())
  })
  await page.reload()
  await bell(page).click()
  await page.getByText('Loading your inbox').waitFor({ state: 'attached' })
  await expectNoViolations(page, { forcedColors: true })

  response = 'aborted'
  for (const route of waiting) await route.abort()
  await shown(page.getByRole('alert').getByText('The inbox could not be read'))
  await expectNoViolations(page, { forcedColors: true })
  await Promise.all([page.waitForRequest('**/notification?*'), page.getByRole('button', { name: 'Try again' }).click()])
  response = 'passed'
  await shown(page.getByText('Nothing yet'))
  await expectNoViolations(page, { forcedColors: true })

  await sendMany(9, 3)
  await expect.poll(() => rows(page).count(), pollOptions).toBeGreaterThan(0)
  await expectNoViolations(page, { forcedColors: true })
  // Backgrounds vanish in forced colours, so what marks a state there is a border.
  await page.emulateMedia({ forcedColors: 'active' })
  const mark = await rows(page)
    .getByRole('link')
    .first()
    .evaluate((link) => {
      const { borderTopColor, borderTopWidth } = getComputedStyle(link, '::before')
      return { borderTopWidth, differs: borderTopColor !== getComputedStyle(link.ownerDocument.body).backgroundColor }
    })
  expect(mark).toEqual({ borderTopWidth: '4px', differs: true })
  await page.emulateMedia({ forcedColors: 'none' })
  await page.getByRole('tab', { name: 'Archived' }).click()
  await shown(page.getByText('Nothing archived'))
  await expectNoViolations(page, { forcedColors: true })
  await stack.post('/notification/send', { memberId: 9, message: 'of a kind', kind: 'order' })
  await page.evaluate(() => {
    const element = document.querySelector('tidings-bell')
    if (element) element.kinds = ['Order', 'Payment', 'Delivery', 'Return'].map((label) => ({ kind: label.toLowerCase(), label }))
  })
  await page.getByRole('tab', { name: 'Order 1' }).click()
  await shown(page.getByRole('tabpanel', { name: 'Order 1' }).getByText('of a kind'))
  await expectNoViolations(page, { forcedColors: true })
  await page.getByRole('tab', { name: 'All' }).click()
  await page.route('**/notification/*/read', (route) => route.fulfill({ status: 503, json: { title: 'busy' } }))
  await page
    .getByRole('button', { name: /^Mark as read/ })
    .first()
    .click()
  await shown(page.getByRole('alert').getByText('That was not saved.'))
  stack.proxy.takeDown()
  await shown(page.getByText(/^Not connected/))
  await expectNoViolations(page, { forcedColors: true })
  stack.proxy.bringUp()
  await page.getByText(/^Not connected/).waitFor({ state: 'hidden' })

  await page.keyboard.press('Escape')
  await page.setViewportSize({ width: 375, height: 667 })
  await bell(page).click()
  await expectNoViolations(page, { forcedColors: true })
  await page.mouse.click(100, 20)
  await panel(page).waitFor({ state: 'hidden' })
  await expectNoViolations(page, { forcedColors: true })
})
