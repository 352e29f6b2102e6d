import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { nextMemberId, openBrowser, openDevice, openPage, waitUntilConnected } from './fixture/page-browser.ts'
import { type PageStack, startPageStack } from './fixture/page-stack.ts'

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

test.each([nextMemberId(), 'auth0|7f3c2a1e+e2e'])(
  'shows a notification that a backend posts after %s has signed in, and opens it',
  async (memberId) => {
    const context = await openDevice(browser, { url: stack.url })
    const page = await context.newPage()
    await page.goto('/')
    await page.getByLabel('Member id').fill(String(memberId))
    await page.getByRole('button', { name: 'Sign in' }).click()
    await waitUntilConnected(page)

    const { online } = await stack.send({ memberId, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' })
    expect(online).toBe(true)
    // Hover, so that the toast does not disappear before it is clicked.
    await page.getByRole('region', { name: 'New notifications' }).getByText('새로운 알림이 도착했습니다.').hover()
    await page.getByRole('button', { name: 'Inbox, 1 unread' }).waitFor()
    await page.getByRole('link', { name: /새로운 알림/ }).click()
    await page.getByRole('heading', { name: 'Opened /dashboard' }).waitFor()
    expect(new URL(page.url()).pathname).toBe('/dashboard')
    await page.getByRole('button', { name: 'Inbox, nothing unread' }).waitFor()
    await context.close()
  },
)

test('keeps the toast under the pointer when others arrive, and shows those when the pointer has left', async () => {
  const memberId = nextMemberId()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  const toasts = page.getByRole('region', { name: 'New notifications' })
  for (const message of ['one', 'two', 'three']) {
    await stack.send({ memberId, message, redirectPath: `/${message}` })
    await toasts.getByText(message, { exact: true }).waitFor()
  }
  await toasts.getByText('one', { exact: true }).hover()
  await stack.send({ memberId, message: 'four', redirectPath: '/four' })
  await page.getByRole('button', { name: 'Inbox, 4 unread' }).waitFor()
  expect(await toasts.getByRole('link').allTextContents()).not.toContainEqual(expect.stringContaining('four'))
  await page.mouse.down()
  await page.mouse.up()
  await page.getByRole('heading', { name: 'Opened /one' }).waitFor()
  await page.mouse.move(0, 0)
  await toasts.getByText('four', { exact: true }).waitFor()
  await context.close()
})

test('returns to the sign-in form at sign-out, and refuses an invalid member id there', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: nextMemberId() })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Member id').fill('minus one')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText(/^A whole number, or/).waitFor()
  expect(await page.getByLabel('Member id').getAttribute('aria-invalid')).toBe('true')
  await context.close()
})

test('shows a browser notification while the tab is hidden, and none while it is visible', async () => {
  const memberId = nextMemberId()
  const context = await openDevice(browser, { url: stack.url, memberId, notificationsGranted: true })
  await context.addInitScript(recordNotifications)
  const page = await openPage(context)
  await stack.send({ memberId, message: 'seen on the page', redirectPath: '/' })
  await page.getByRole('region', { name: 'New notifications' }).getByText('seen on the page').waitFor()

  await page.evaluate(() => (globalThis as unknown as Recorded).hideTab())
  await stack.send({ memberId, message: 'seen on the desktop', redirectPath: '/desk' })
  const recorded = () => page.evaluate(() => (globalThis as unknown as Recorded).recorded)
  await expect.poll(recorded, { timeout: 40_000 }).toEqual([{ title: 'Tidings', body: 'seen on the desktop' }])
  await context.close()
})

test('requests the permission for browser notifications only from the button', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: nextMemberId() })
  await context.addInitScript(() => {
    const permissionRequests = { count: 0 }
    Object.assign(globalThis, { permissionRequests })
    Object.defineProperty(Notification, 'permission', { get: () => (permissionRequests.count > 0 ? 'granted' : 'default') })
    Notification.requestPermission = async () => {
      permissionRequests.count += 1
      return 'granted'
    }
  })
  const page = await openPage(context)
  await page.getByRole('button', { name: /^Inbox/ }).click()
  const requestCount = () =>
    page.evaluate(() => (globalThis as unknown as { permissionRequests: { count: number } }).permissionRequests.count)
  expect(await requestCount()).toBe(0)
  const turnOn = page.getByRole('button', { name: 'Turn on browser notifications' })
  await turnOn.click()
  await turnOn.waitFor({ state: 'detached' })
  expect(await requestCount()).toBe(1)
  await context.close()
})

test('shows in the send console how many recipients were online: for one member, several, and everyone', async () => {
  const memberId = nextMemberId()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  const sent = page.getByRole('log', { name: 'Sent' }).getByRole('listitem')
  const send = () => page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.getByRole('textbox', { name: 'Message' }).fill('보고서 — for one')
  await send()
  await expect.poll(() => sent.first().textContent(), { timeout: 40_000 }).toMatch(/online$/)

  await page.getByLabel('To', { exact: true }).fill(`${memberId}, 999999`)
  await send()
  await expect.poll(() => sent.first().textContent(), { timeout: 40_000 }).toMatch(/1 of 2 online$/)

  await page.getByRole('checkbox', { name: 'Everyone' }).check()
  await page.getByRole('textbox', { name: 'Message' }).fill('for all')
  await send()
  // Check the toast first: it disappears by itself after a while.
  await page.getByRole('region', { name: 'New notifications' }).getByText('for all').waitFor()
  await expect.poll(() => sent.first().textContent(), { timeout: 40_000 }).toContain('Everyone')
  await page.getByRole('button', { name: 'Inbox, 3 unread' }).waitFor()

  await page.getByLabel('Opens').fill('//elsewhere.example')
  await send()
  await expect.poll(() => sent.first().textContent(), { timeout: 40_000 }).toMatch(/^Not sent: .*redirectPath/s)
  await context.close()
})

interface Recorded {
  readonly recorded: { readonly title: string; readonly body?: string }[]
  readonly hideTab: () => void
}

/** Runs in the page: records browser notifications, and lets the test make the tab hidden. */
function recordNotifications(): void {
  const recorded: Recorded['recorded'] = []
  let hidden = false
  Object.assign(globalThis, {
    recorded,
    hideTab: () => {
      hidden = true
      document.dispatchEvent(new Event('visibilitychange'))
      dispatchEvent(new Event('blur'))
    },
    Notification: class extends Notification {
      constructor(title: string, options?: NotificationOptions) {
        super(title, options)
        recorded.push({ title, ...(options?.body !== undefined && { body: options.body }) })
      }
    },
  })
  Object.defineProperty(document, 'visibilityState', { get: () => (hidden ? 'hidden' : 'visible') })
  Object.defineProperty(document, 'hidden', { get: () => hidden })
  document.hasFocus = () => !hidden
}
