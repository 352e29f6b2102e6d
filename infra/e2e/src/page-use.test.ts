import { randomUUID } from 'node:crypto'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { nextMemberId, openBrowser, openDevice, openPage, waitUntilConnected } from './fixture/page-browser.ts'
import { type PageStack, startPageStack } from './fixture/page-stack.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

let stack: PageStack
let browser: Browser
beforeAll(async () => {
  ;[stack, browser] = await Promise.all([startPageStack(inject('databaseServerUrl'), 'page_use'), openBrowser()])
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})

test.each([
  ['a desktop', {}],
  ['a phone', { viewport: { width: 375, height: 720 } }],
])('shifts no layout when notifications arrive on %s', async (_device, options) => {
  const memberId = nextMemberId()
  await stack.send({ memberId, message: 'before', redirectPath: '/' })
  const context = await openDevice(browser, { url: stack.url, memberId, ...options })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Inbox, 1 unread' }).waitFor()
  await watchLayoutShifts(page)

  for (const message of [
    'first',
    'second, which is so long that it needs several lines of the little box that it is shown in',
    'third',
  ]) {
    await stack.send({ memberId, message, redirectPath: '/a/path/that/is/not/short/either' })
    await page.locator('.toast', { hasText: message }).waitFor()
  }
  await page.getByRole('button', { name: 'Inbox, 4 unread' }).press('Enter')
  await page.locator('tidings-bell .item').nth(3).waitFor()
  await stack.send({ memberId, message: 'fourth', redirectPath: '/' })
  await page.getByRole('button', { name: '1 new' }).waitFor()
  expect(await layoutShifts(page)).toEqual([])
  await context.close()
})

test('opens the inbox and a notification, and returns, by keyboard alone', async () => {
  const memberId = nextMemberId()
  await stack.send({ memberId, message: 'reached by keyboard', redirectPath: '/keys' })
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Inbox, 1 unread' }).waitFor()
  await page.keyboard.press('Tab')
  expect(await focusedName(page)).toBe('Skip to content')
  await tabTo(page, /^Inbox, 1 unread/)
  await page.keyboard.press('Enter')
  await page.locator('tidings-bell .item').first().waitFor()
  await tabTo(page, /reached by keyboard/)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Opened /keys' }).waitFor()
  await page.getByRole('button', { name: 'Inbox, nothing unread' }).waitFor()
  await tabTo(page, 'Back')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Opened /keys' }).waitFor({ state: 'detached' })
  await context.close()
})

test('serves a member with a text id from the sign-in to the revocation, and once more after a new sign-in', async () => {
  const memberId = `auth0|${randomUUID()}+use`
  const context = await openDevice(browser, { url: stack.url })
  const page = await context.newPage()
  const signIn = async () => {
    await page.getByLabel('Member id').fill(memberId)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await waitUntilConnected(page)
  }
  await page.goto('/')
  await signIn()
  await page.getByText(`Member ${memberId}`).waitFor()
  await stack.send({ memberId, message: 'to a text id', redirectPath: '/' })
  await page.locator('.toast', { hasText: 'to a text id' }).waitFor()
  await page.getByRole('button', { name: 'Inbox, 1 unread' }).click()
  await page.getByRole('button', { name: 'Mark as read: to a text id' }).click()
  await page.getByRole('button', { name: 'Inbox, nothing unread' }).waitFor()
  await page.keyboard.press('Escape')

  const taskId = randomUUID()
  expect(await stack.post('/task', { taskId, memberId, kind: 'answer', title: 'Whose answer?' })).toBe(201)
  await stack.post(`/task/${taskId}/event`, { type: 'append', text: 'of the text id' })
  await page.getByRole('region', { name: 'Answer' }).getByText('of the text id').waitFor()

  expect(await stack.post('/session/revoke', { memberId })).toBe(202)
  await page.getByRole('status').getByText('Your session has ended.').waitFor()
  // The cookie is still there: the revocation also holds for a page that is loaded with it.
  await page.reload()
  await page.getByLabel('Member id').waitFor()
  await signIn()
  await page.getByRole('button', { name: 'Inbox, nothing unread' }).waitFor()
  await context.close()
})

test('keeps the language, chosen by keyboard, after a reload', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: nextMemberId() })
  const page = await openPage(context)
  await tabTo(page, '한국어')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: '기다리던 소식은 빠짐없이 도착합니다.' }).waitFor()
  await page.getByRole('button', { name: '알림함, 읽지 않은 알림 없음' }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: '기다리던 소식은 빠짐없이 도착합니다.' }).waitFor()
  await context.close()
})

test('runs no inline script, and loads everything from its own origin', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: nextMemberId() })
  const page = await openPage(context)
  expect(await page.locator('script:not([src])').count()).toBe(0)
  expect(await page.locator('[onclick], [onload], style').count()).toBe(0)
  const origins = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).origin))
  expect([...new Set(origins)]).toEqual([stack.url])
  await context.close()
})

test('serves a script that makes one element a working bell', async () => {
  const memberId = nextMemberId()
  await stack.send({ memberId, message: 'without a bundler', redirectPath: '/' })
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await context.newPage()
  const body = '<!doctype html><script type="module" src="/tidings.mjs"></script><tidings-bell></tidings-bell>'
  await page.route('/plain', (route) => route.fulfill({ contentType: 'text/html', body }))
  await page.goto('/plain')
  await page.getByRole('button', { name: 'Inbox, 1 unread' }).click()
  await page.getByRole('link', { name: /without a bundler/ }).waitFor()
  await context.close()
})

test('runs no animation when reduced motion is preferred', async () => {
  const memberId = nextMemberId()
  const context = await openDevice(browser, { url: stack.url, memberId, reducedMotion: 'reduce' })
  const page = await openPage(context)
  await stack.send({ memberId, message: 'no motion', redirectPath: '/' })
  await page.locator('.toast').waitFor()
  const longest = await page.evaluate(() =>
    Math.max(0, ...document.getAnimations().map((animation) => Number(animation.effect?.getComputedTiming().endTime ?? 0))),
  )
  expect(longest).toBeLessThanOrEqual(1)
  await context.close()
})

interface ShiftWatch {
  readonly shifts: string[]
  readonly observer: PerformanceObserver
  readonly record: (entries: PerformanceEntry[]) => void
}

/** Records layout shifts from now on, except those within half a second of user input. */
function watchLayoutShifts(page: Page): Promise<void> {
  return page.evaluate(() => {
    const found: string[] = []
    const record = (list: PerformanceObserverEntryList | PerformanceEntry[]) => {
      const entries = Array.isArray(list) ? list : list.getEntries()
      for (const entry of entries as (PerformanceEntry & {
        value: number
        hadRecentInput: boolean
        sources: { node?: Element }[]
      })[]) {
        if (!entry.hadRecentInput) found.push(`${entry.value} ${entry.sources.map(({ node }) => node?.className).join(', ')}`)
      }
    }
    const observer = new PerformanceObserver(record)
    observer.observe({ type: 'layout-shift' })
    Object.assign(globalThis, { shiftWatch: { shifts: found, observer, record } })
  })
}

/** Resolves to the recorded layout shifts, after two frames, so that the last paint is included. */
function layoutShifts(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame)
    const { shifts: found, observer, record } = (globalThis as unknown as { shiftWatch: ShiftWatch }).shiftWatch
    await new Promise((resolve) => setTimeout(resolve))
    record(observer.takeRecords())
    return found
  })
}

/** Resolves to the accessible name of the focused element. */
function focusedName(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement
    const [label] = element instanceof HTMLInputElement ? (element.labels ?? []) : []
    return (element?.getAttribute('aria-label') ?? label?.textContent ?? element?.textContent ?? '').trim()
  })
}

const maxTabPresses = 60

/** Presses Tab until the element with this accessible name has the focus. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  for (let tabs = 0; tabs < maxTabPresses; tabs += 1) {
    const reached = await focusedName(page)
    if (typeof name === 'string' ? reached === name : name.test(reached)) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`${name} was not reached with ${maxTabPresses} presses of Tab`)
}
