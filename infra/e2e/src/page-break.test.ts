import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { live, newMember, openBrowser, openDevice, openPage } from './page-browser.test.fixture.ts'
import { type PageStack, startPageStack } from './page-stack.test.fixture.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

let stack: PageStack
let browser: Browser
beforeAll(async () => {
  ;[stack, browser] = await Promise.all([startPageStack(inject('databaseServerUrl'), 'page_break'), openBrowser()])
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})

const verdict = (page: Page) => page.getByRole('region', { name: 'Break it' }).getByRole('status')
const count = (page: Page, name: string) => page.locator('.ledger-count div', { hasText: name }).locator('dd').textContent()
/** Which gateway has the member's only session; -1 while that is not so. */
async function holder(memberId: number): Promise<number> {
  const counts = stack.gateways.map(async ({ opsPort }) => {
    const answer = await fetch(`http://127.0.0.1:${opsPort}/session?memberId=${memberId}`)
    return ((await answer.json()) as { sessions: readonly unknown[] }).sessions.length
  })
  const found = await Promise.all(counts)
  return found.reduce((sum, each) => sum + each, 0) === 1 ? found.indexOf(1) : -1
}

const patient = { timeout: 40_000 }

test('the connection is dropped in the middle of twenty: all there, once each, in order', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: newMember() })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Send 20 to myself' }).click()
  for (const sent of [5, 12]) {
    await expect.poll(async () => Number(await count(page, 'Sent')), patient).toBeGreaterThanOrEqual(sent)
    await page.getByRole('button', { name: 'Drop the connection' }).click()
  }
  await expect.poll(() => count(page, 'Sent'), patient).toBe('20')
  await expect.poll(() => verdict(page).textContent(), patient).toContain('All there, once each, in order.')
  await live(page)
  await context.close()
})

test('the page is switched to the other gateway and back in the middle of twenty: all there, once each, in order', async () => {
  const memberId = newMember()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  const before = await holder(memberId)
  await page.getByRole('button', { name: 'Send 20 to myself' }).click()
  await expect.poll(async () => Number(await count(page, 'Sent')), patient).toBeGreaterThanOrEqual(5)
  await page.getByRole('button', { name: 'Switch gateway' }).click()
  await expect.poll(() => holder(memberId), patient).toBe(1 - before)
  await page.getByRole('button', { name: 'Switch gateway' }).click()
  await expect.poll(() => holder(memberId), patient).toBe(before)
  await expect.poll(() => count(page, 'Sent'), patient).toBe('20')
  await expect.poll(() => verdict(page).textContent(), patient).toContain('All there, once each, in order.')
  await live(page)
  await context.close()
})

test('what is sent while offline is held, and there as soon as the network is; also in the tab that holds no connection', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: newMember() })
  const leading = await openPage(context)
  const page = await openPage(context)
  await page.getByRole('switch', { name: 'Stay offline' }).click()
  await page.locator('.connection-pill[data-status=offline]').waitFor()
  await leading.locator('.connection-pill[data-status=offline]').waitFor()
  await page.getByRole('button', { name: 'Send 20 to myself' }).click()
  await expect.poll(() => count(page, 'Sent'), patient).toBe('20')
  expect(await count(page, 'On the way')).toBe('20')

  await page.getByRole('switch', { name: 'Stay offline' }).click()
  await live(page)
  await expect.poll(() => verdict(page).textContent(), patient).toContain('All there, once each, in order.')
  // The last ones, sent less than a second before, do not count as late.
  expect(await verdict(page).textContent()).toMatch(/\d+ waited for the connection\./)
  await page.getByRole('button', { name: 'Inbox, 20 unread' }).waitFor()
  await context.close()
})

test('a gateway dies: the page is live again on the other one, and nothing is missing', async () => {
  const memberId = newMember()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Send 20 to myself' }).click()
  await expect.poll(async () => Number(await count(page, 'Sent')), patient).toBeGreaterThanOrEqual(5)
  const gateway = stack.gateways[await holder(memberId)]
  expect(await gateway?.kill()).toMatchObject({ signal: 'SIGKILL' })
  // All there may be said of the first few, too.
  await expect.poll(() => count(page, 'Sent'), patient).toBe('20')
  await expect.poll(() => verdict(page).textContent(), patient).toContain('All there, once each, in order.')
  await live(page)
  await context.close()
})
