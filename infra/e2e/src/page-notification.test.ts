import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { live, newMember, openBrowser, openDevice, openPage } from './page-browser.test.fixture.ts'
import { type PageStack, startPageStack } from './page-stack.test.fixture.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

let stack: PageStack
let browser: Browser
beforeAll(async () => {
  ;[stack, browser] = await Promise.all([startPageStack(inject('databaseServerUrl'), 'page_notification'), openBrowser()])
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})

test('sign in, and what a backend posts is on the page', async () => {
  const memberId = newMember()
  const context = await openDevice(browser, { url: stack.url })
  const page = await context.newPage()
  await page.goto('/')
  await page.getByLabel('Member number').fill(String(memberId))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await live(page)

  const { online } = await stack.send({ memberId, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' })
  expect(online).toBe(true)
  // With the pointer on it, it stays until it is pressed.
  await page.getByRole('region', { name: 'New notifications' }).getByText('새로운 알림이 도착했습니다.').hover()
  await page.getByRole('button', { name: 'Inbox, 1 unread' }).waitFor()
  await page.getByRole('link', { name: /새로운 알림/ }).click()
  await page.getByRole('heading', { name: 'Opened /dashboard' }).waitFor()
  expect(new URL(page.url()).pathname).toBe('/dashboard')
  await page.getByRole('button', { name: 'Inbox, nothing unread' }).waitFor()
  await context.close()
})

test('a number that is none is refused where it is typed; signing out leads back', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: newMember() })
  const page = await openPage(context)
  await page.getByRole('button', { name: /^Account of member/ }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Member number').fill('minus one')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('A whole number, 1 or more.').waitFor()
  expect(await page.getByLabel('Member number').getAttribute('aria-invalid')).toBe('true')
  await context.close()
})

test('a notification of the browser is raised while the tab is not looked at, and none while it is', async () => {
  const memberId = newMember()
  const context = await openDevice(browser, { url: stack.url, memberId, notificationsGranted: true })
  await context.addInitScript(recordNotifications)
  const page = await openPage(context)
  await stack.send({ memberId, message: 'seen on the page', redirectPath: '/' })
  await page.getByRole('region', { name: 'New notifications' }).getByText('seen on the page').waitFor()

  await page.evaluate(() => (globalThis as unknown as Recorded).lookAway())
  await stack.send({ memberId, message: 'seen on the desktop', redirectPath: '/desk' })
  const raised = () => page.evaluate(() => (globalThis as unknown as Recorded).raised)
  await expect.poll(raised, { timeout: 40_000 }).toEqual([{ title: 'Tidings', body: 'seen on the desktop' }])
  await context.close()
})

test('permission is asked from a button only', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: newMember() })
  await context.addInitScript(() => {
    const asked = { count: 0 }
    Object.assign(globalThis, { asked })
    Object.defineProperty(Notification, 'permission', { get: () => (asked.count > 0 ? 'granted' : 'default') })
    Notification.requestPermission = async () => {
      asked.count += 1
      return 'granted'
    }
  })
  const page = await openPage(context)
  await page.getByRole('button', { name: /^Inbox/ }).click()
  const askedCount = () => page.evaluate(() => (globalThis as unknown as { asked: { count: number } }).asked.count)
  expect(await askedCount()).toBe(0)
  await page.getByRole('button', { name: 'Turn on' }).click()
  await page.getByText('On. Shown when no tab of this page is in view.').waitFor()
  expect(await askedCount()).toBe(1)
  await context.close()
})

test("the sender's console tells who was online: one, several, everyone", async () => {
  const memberId = newMember()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  const sent = page.getByRole('log', { name: 'Sent' }).getByRole('listitem')
  const send = () => page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.getByRole('textbox', { name: 'Message' }).fill('보고서 — for one')
  await send()
  await expect.poll(() => sent.first().textContent(), { timeout: 40_000 }).toMatch(/online$/)

  await page.getByRole('radio', { name: 'Several' }).check()
  await page.getByLabel('Members').fill(`${memberId}, 999999`)
  await send()
  await expect.poll(() => sent.first().textContent(), { timeout: 40_000 }).toMatch(/1 of 2 online$/)

  await page.getByRole('radio', { name: 'Everyone' }).check()
  await page.getByRole('textbox', { name: 'Message' }).fill('for all')
  await send()
  // First what goes by itself after a while.
  await page.getByRole('region', { name: 'New notifications' }).getByText('for all').waitFor()
  await expect.poll(() => sent.first().textContent(), { timeout: 40_000 }).toContain('Everyone')
  await page.getByRole('button', { name: 'Inbox, 3 unread' }).waitFor()

  await page.getByLabel('Opens').fill('//elsewhere.example')
  await send()
  await page.getByText('A path of this site').waitFor()
  await context.close()
})

interface Recorded {
  readonly raised: { readonly title: string; readonly body?: string }[]
  readonly lookAway: () => void
}

/** Runs in the page: keeps what would have been shown on the desktop, and lets the tab be hidden. */
function recordNotifications(): void {
  const raised: Recorded['raised'] = []
  let hidden = false
  Object.assign(globalThis, {
    raised,
    lookAway: () => {
      hidden = true
      document.dispatchEvent(new Event('visibilitychange'))
      dispatchEvent(new Event('blur'))
    },
    Notification: class extends Notification {
      constructor(title: string, options?: NotificationOptions) {
        super(title, options)
        raised.push({ title, ...(options?.body !== undefined && { body: options.body }) })
      }
    },
  })
  Object.defineProperty(document, 'visibilityState', { get: () => (hidden ? 'hidden' : 'visible') })
  Object.defineProperty(document, 'hidden', { get: () => hidden })
  document.hasFocus = () => !hidden
}
