import type { Browser, Page, Route } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { nextMemberId, openBrowser, openDevice, openPage } from './fixture/page-browser.ts'
import { type PageStack, startPageStack } from './fixture/page-stack.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

let stack: PageStack
let browser: Browser
beforeAll(async () => {
  ;[stack, browser] = await Promise.all([startPageStack(inject('databaseServerUrl'), 'page_inbox'), openBrowser()])
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})

const rows = (page: Page) => page.getByRole('dialog', { name: 'Inbox' }).getByRole('listitem')
const bell = (page: Page) => page.getByRole('button', { name: /^Inbox/ })
const pollOptions = { timeout: 40_000 }

/** Sends notifications one after the other, numbered from 1. */
async function sendMany(memberId: number, count: number, message = (number: number) => `message ${number}`): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    await stack.send({ memberId, message: message(number), redirectPath: `/message/${number}` })
  }
}

test('loads an inbox of three pages by scrolling, each notification once and the newest first', async () => {
  const memberId = nextMemberId()
  await sendMany(memberId, 45)
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Inbox, 45 unread' }).click()
  await expect.poll(() => rows(page).count(), pollOptions).toBe(20)
  for (const loaded of [40, 45]) {
    await page.locator('.inbox-scroller').evaluate((list) => list.scrollTo({ top: list.scrollHeight }))
    await expect.poll(() => rows(page).count(), pollOptions).toBe(loaded)
  }
  await page.getByText('That is everything.').waitFor()
  const links = await rows(page)
    .getByRole('link')
    .evaluateAll((all) => all.map((link) => link.getAttribute('href')))
  expect(links).toEqual(Array.from({ length: 45 }, (_, at) => `/message/${45 - at}`))
  await context.close()
})

test('shows on the other device that one notification, and then all, were marked as read', async () => {
  const memberId = nextMemberId()
  await sendMany(memberId, 3)
  const [desk, phone] = await Promise.all([
    openDevice(browser, { url: stack.url, memberId }),
    openDevice(browser, { url: stack.url, memberId }),
  ])
  const [here, there] = await Promise.all([openPage(desk), openPage(phone)])
  await here.getByRole('button', { name: 'Inbox, 3 unread' }).click()
  await there.getByRole('button', { name: 'Inbox, 3 unread' }).waitFor()

  await here.getByRole('button', { name: 'Mark as read: message 2' }).click()
  await there.getByRole('button', { name: 'Inbox, 2 unread' }).click()
  await expect.poll(() => there.getByRole('button', { name: 'Mark as read: message 2' }).count(), pollOptions).toBe(0)

  await there.getByRole('button', { name: 'Mark all read' }).click()
  await here.getByRole('button', { name: 'Inbox, nothing unread' }).waitFor()
  await expect.poll(() => here.getByRole('button', { name: /^Mark as read/ }).count(), pollOptions).toBe(0)
  const disabled = () => here.getByRole('button', { name: 'Mark all read' }).getAttribute('aria-disabled')
  await expect.poll(disabled, pollOptions).toBe('true')
  await desk.close()
  await phone.close()
})

test('holds new notifications above the open inbox until the button is pressed', async () => {
  const memberId = nextMemberId()
  await sendMany(memberId, 2)
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Inbox, 2 unread' }).click()
  await sendMany(memberId, 2, (number) => `late ${number}`)
  const held = page.getByRole('button', { name: '2 new' })
  await held.waitFor()
  expect(await rows(page).count()).toBe(2)
  // What is held was not shown, so it stays unread.
  await page.getByRole('button', { name: 'Mark all read' }).click()
  await page.getByRole('button', { name: 'Inbox, 2 unread' }).waitFor()
  await held.click()
  const messages = () => rows(page).locator('.inbox-message').allTextContents()
  await expect.poll(messages, pollOptions).toEqual(['late 2', 'late 1', 'message 2', 'message 1'])
  const unread = () => page.getByRole('button', { name: /^Mark as read/ }).count()
  await expect.poll(unread, pollOptions).toBe(2)
  await context.close()
})

test('shows the states empty, loading and error, and recovers with "Try again"', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: nextMemberId() })
  const page = await openPage(context)
  await bell(page).click()
  await page.getByText('Nothing yet').waitFor()

  let response: 'held' | 'aborted' | 'passed' = 'held'
  const waiting: Route[] = []
  await page.route('**/notification?*', async (route) => {
    if (response === 'held') waiting.push(route)
    else await (response === 'aborted' ? route.abort() : route.continue())
  })
  await page.reload()
  await bell(page).click()
  await page.getByText('Loading your inbox').waitFor({ state: 'attached' })
  response = 'aborted'
  for (const route of waiting) await route.abort()
  await page.getByRole('alert').getByText('The inbox could not be read').waitFor()
  await Promise.all([page.waitForRequest('**/notification?*'), page.getByRole('button', { name: 'Try again' }).click()])
  response = 'passed'
  await page.getByText('Nothing yet').waitFor()
  await context.close()
})
