import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { nextMemberId, openBrowser, openDevice, openPage, waitUntilConnected } from './fixture/page-browser.ts'
import { type PageStack, startPageStack } from './fixture/page-stack.ts'

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
/** Resolves to the index of the gateway that holds the member's only session, or -1 unless there is exactly one session. */
async function holderIndex(memberId: number): Promise<number> {
  const counts = stack.gateways.map(async ({ opsPort }) => {
    const response = await fetch(`http://127.0.0.1:${opsPort}/session?memberId=${memberId}`)
    return ((await response.json()) as { sessions: readonly unknown[] }).sessions.length
  })
  const sessions = await Promise.all(counts)
  return sessions.reduce((sum, each) => sum + each, 0) === 1 ? sessions.indexOf(1) : -1
}

const pollOptions = { timeout: 40_000 }

test('receives twenty notifications once each and in order when the connection is dropped in the middle', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: nextMemberId() })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Send 20 to myself' }).click()
  for (const sent of [5, 12]) {
    await expect.poll(async () => Number(await count(page, 'Sent')), pollOptions).toBeGreaterThanOrEqual(sent)
    await page.getByRole('button', { name: 'Drop the connection' }).click()
  }
  await expect.poll(() => count(page, 'Sent'), pollOptions).toBe('20')
  await expect.poll(() => verdict(page).textContent(), pollOptions).toContain('All there, once each, in order.')
  await waitUntilConnected(page)
  await context.close()
})

test('receives twenty notifications once each and in order when the page switches to the other gateway and back in the middle', async () => {
  const memberId = nextMemberId()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  const before = await holderIndex(memberId)
  await page.getByRole('button', { name: 'Send 20 to myself' }).click()
  await expect.poll(async () => Number(await count(page, 'Sent')), pollOptions).toBeGreaterThanOrEqual(5)
  await page.getByRole('button', { name: 'Switch gateway' }).click()
  await expect.poll(() => holderIndex(memberId), pollOptions).toBe(1 - before)
  await page.getByRole('button', { name: 'Switch gateway' }).click()
  await expect.poll(() => holderIndex(memberId), pollOptions).toBe(before)
  await expect.poll(() => count(page, 'Sent'), pollOptions).toBe('20')
  await expect.poll(() => verdict(page).textContent(), pollOptions).toContain('All there, once each, in order.')
  await waitUntilConnected(page)
  await context.close()
})

test('receives what was sent while offline as soon as the network is back, in a tab without a connection of its own', async () => {
  const context = await openDevice(browser, { url: stack.url, memberId: nextMemberId() })
  const leading = await openPage(context)
  const page = await openPage(context)
  await page.getByRole('switch', { name: 'Stay offline' }).click()
  await page.locator('.connection-pill[data-status=offline]').waitFor()
  await leading.locator('.connection-pill[data-status=offline]').waitFor()
  await page.getByRole('button', { name: 'Send 20 to myself' }).click()
  await expect.poll(() => count(page, 'Sent'), pollOptions).toBe('20')
  expect(await count(page, 'On the way')).toBe('20')

  await page.getByRole('switch', { name: 'Stay offline' }).click()
  await waitUntilConnected(page)
  await expect.poll(() => verdict(page).textContent(), pollOptions).toContain('All there, once each, in order.')
  // Notifications that were sent less than a second before are not counted as waiting.
  expect(await verdict(page).textContent()).toMatch(/\d+ waited for the connection\./)
  await page.getByRole('button', { name: 'Inbox, 20 unread' }).waitFor()
  await context.close()
})

test('reconnects to the other gateway without a loss when its gateway is killed', async () => {
  const memberId = nextMemberId()
  const context = await openDevice(browser, { url: stack.url, memberId })
  const page = await openPage(context)
  await page.getByRole('button', { name: 'Send 20 to myself' }).click()
  await expect.poll(async () => Number(await count(page, 'Sent')), pollOptions).toBeGreaterThanOrEqual(5)
  const gateway = stack.gateways[await holderIndex(memberId)]
  expect(await gateway?.kill()).toMatchObject({ signal: 'SIGKILL' })
  // Wait for all 20 first: the verdict is also shown for the first few.
  await expect.poll(() => count(page, 'Sent'), pollOptions).toBe('20')
  await expect.poll(() => verdict(page).textContent(), pollOptions).toContain('All there, once each, in order.')
  await waitUntilConnected(page)
  await context.close()
})
