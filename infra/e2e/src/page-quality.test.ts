import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { nextMemberId, openBrowser, openDevice, waitUntilConnected } from './fixture/page-browser.ts'
import { type PageStack, startPageStack } from './fixture/page-stack.ts'
import { type PageState, pageStates } from './fixture/page-state.ts'

const demo = createRequire(new URL('../../../packages/demo/package.json', import.meta.url))
const axe = readFileSync(demo.resolve('axe-core/axe.min.js'), 'utf8')
const phone = { viewport: { width: 375, height: 720 }, hasTouch: true, isMobile: true } as const

/** A rule of axe with the elements that break it. */
interface Finding {
  readonly id: string
  readonly nodes: readonly {
    readonly html: string
    readonly any: readonly { readonly message: string; readonly data: unknown }[]
  }[]
}

const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
/** WCAG 2.2, success criterion 2.5.8 (Target Size). */
const minTargetPixels = 24

/** Message of axe for an element under a panel. Another state shows the same element without the panel, so it is ignored. */
const coveredMessage = 'it is overlapped by another element'

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
  await expectNoViolations(page)
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

/** Checks all rules in the light theme, and in the dark theme only the contrast, which alone differs. */
async function expectNoViolations(page: Page): Promise<void> {
  await page.evaluate(axe)
  await page.emulateMedia({ colorScheme: 'light' })
  expect(await violations(page, { type: 'tag', values: tags })).toEqual([])
  await page.emulateMedia({ colorScheme: 'dark' })
  // Polled, as the browser may restyle a visited link late.
  const darkViolations = () => violations(page, { type: 'rule', values: ['color-contrast'] })
  await expect.poll(darkViolations, { timeout: 40_000 }).toEqual([])
}

/** Resolves when the page is painted and no animation is running. */
function waitForRest(page: Page): Promise<void> {
  return page.evaluate(async () => {
    await new Promise(requestAnimationFrame)
    await new Promise(requestAnimationFrame)
    await Promise.allSettled(document.getAnimations().map(({ finished }) => finished))
  })
}

/** Resolves to a line for each violation with its rule and element, contrasts that axe could not determine included. */
async function violations(page: Page, runOnly: { type: 'tag' | 'rule'; values: readonly string[] }): Promise<string[]> {
  await waitForRest(page)
  const { violations: found, incomplete } = await page.evaluate(
    (options) =>
      (
        globalThis as unknown as { axe: { run: (options: object) => Promise<{ violations: Finding[]; incomplete: Finding[] }> } }
      ).axe.run(options),
    { runOnly },
  )
  const undetermined = incomplete.filter(({ id }) => id === 'color-contrast')
  return [...found, ...undetermined]
    .flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html.slice(0, 120)} ${any[0]?.message}`))
    .filter((line) => !line.endsWith(coveredMessage))
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
