import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { expectNoViolations } from './fixture/accessibility.ts'
import { nextMemberId, openBrowser, openDevice, waitUntilConnected } from './fixture/page-browser.ts'
import { type PageStack, startPageStack } from './fixture/page-stack.ts'
import { type PageState, pageStates } from './fixture/page-state.ts'

const phone = { viewport: { width: 375, height: 720 }, hasTouch: true, isMobile: true } as const

/** WCAG 2.2, success criterion 2.5.8 (Target Size). */
const minTargetPixels = 24

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

let stack: PageStack
let browser: Browser
beforeAll(async () => {
  ;[stack, browser] = await Promise.all([startPageStack(inject('databaseServerUrl'), 'page_quality'), openBrowser()])
})
afterAll(async () => {
  await browser?.close()
  await stack?.stop()
})

test.each(Object.keys(pageStates) as PageState[])(
  'has no accessibility violation and no small touch target in the state %s',
  async (state) => {
    await Promise.all([checkOnDesktop(state), checkOnPhone(state)])
  },
)

test('logs nothing to the console from the first visit until the member is signed in', async () => {
  const context = await openDevice(browser, { url: stack.url })
  const page = await context.newPage()
  const lines: string[] = []
  page.on('console', (message) => lines.push(`${message.type()}: ${message.text()} ${message.location().url}`))
  page.on('pageerror', (error) => lines.push(error.message))
  await page.goto('/')
  await page.getByLabel('Member ID').fill(String(nextMemberId()))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await waitUntilConnected(page)
  expect(lines).toEqual([])
  await context.close()
})

async function checkOnDesktop(state: PageState): Promise<void> {
  const context = await openDevice(browser, { url: stack.url, reducedMotion: 'reduce' })
  const page = await pageStates[state]({ context, stack, language: 'en' })
  expect(await page.locator('html').getAttribute('lang')).toBe('en')
  await expectNoViolations(page, { forcedColors: true })
  await context.close()
}

async function checkOnPhone(state: PageState): Promise<void> {
  const context = await openDevice(browser, { url: stack.url, ...phone, locale: 'ko-KR', reducedMotion: 'reduce' })
  const page = await pageStates[state]({ context, stack, language: 'ko' })
  expect(await page.locator('html').getAttribute('lang')).toBe('ko')
  expect(await page.evaluate(() => document.documentElement.scrollWidth), 'no horizontal overflow').toBe(phone.viewport.width)
  expect(await smallTargets(page)).toEqual([])
  await expectNoViolations(page)
  await context.close()
}

/** Resolves to a line for each control that is smaller than `minTargetPixels` in one direction. */
function smallTargets(page: Page): Promise<string[]> {
  return page.locator('button:visible, a:visible, input:visible').evaluateAll(
    (all, minPixels) =>
      all
        .map((element) => ({ element, box: element.getBoundingClientRect() }))
        .filter(({ box }) => box.width > 0 && (box.width < minPixels || box.height < minPixels))
        .map(({ element, box }) => `${element.outerHTML.slice(0, 80)} ${box.width} × ${box.height}`),
    minTargetPixels,
  )
}
