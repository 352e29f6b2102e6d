import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { openBrowser, openDevice } from './page-browser.test.fixture.ts'
import { type PageStack, startPageStack } from './page-stack.test.fixture.ts'
import { type PageState, pageStates } from './page-state.test.fixture.ts'

const demo = createRequire(new URL('../../../packages/demo/package.json', import.meta.url))
const axe = readFileSync(demo.resolve('axe-core/axe.min.js'), 'utf8')
const phone = { viewport: { width: 375, height: 720 }, hasTouch: true, isMobile: true } as const

interface Finding {
  readonly id: string
  readonly nodes: readonly {
    readonly html: string
    readonly any: readonly { readonly message: string; readonly data: unknown }[]
  }[]
}

const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
/** WCAG 2.2, 2.5.8. */
const minTargetPixels = 24

/** Said of what lies under a panel; it is seen without one in another state. */
const coveredByAnother = 'it is overlapped by another element'

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

test.each(Object.keys(pageStates) as PageState[])('axe finds nothing in %s, and a finger meets each control', async (state) => {
  await Promise.all([onDesk(state), onPhone(state)])
})

async function onDesk(state: PageState): Promise<void> {
  const context = await openDevice(browser, { url: stack.url, reducedMotion: 'reduce' })
  const page = await pageStates[state]({ context, stack, language: 'en' })
  expect(await page.locator('html').getAttribute('lang')).toBe('en')
  await expectNoViolations(page)
  await context.close()
}

async function onPhone(state: PageState): Promise<void> {
  const context = await openDevice(browser, { url: stack.url, ...phone, locale: 'ko-KR', reducedMotion: 'reduce' })
  const page = await pageStates[state]({ context, stack, language: 'ko' })
  expect(await page.locator('html').getAttribute('lang')).toBe('ko')
  expect(await page.evaluate(() => document.documentElement.scrollWidth), 'nothing sticks out').toBe(phone.viewport.width)
  expect(await smallTargets(page)).toEqual([])
  await expectNoViolations(page)
  await context.close()
}

/** Everything in the light; in the dark only what differs, the colours. */
async function expectNoViolations(page: Page): Promise<void> {
  await page.evaluate(axe)
  await page.emulateMedia({ colorScheme: 'light' })
  expect(await violations(page, { type: 'tag', values: tags })).toEqual([])
  await page.emulateMedia({ colorScheme: 'dark' })
  // Again, as the browser may take its time to restyle a link that was visited.
  const inTheDark = () => violations(page, { type: 'rule', values: ['color-contrast'] })
  await expect.poll(inTheDark, { timeout: 40_000 }).toEqual([])
}

/** Painted, and no colour under way to another. */
function atRest(page: Page): Promise<void> {
  return page.evaluate(async () => {
    await new Promise(requestAnimationFrame)
    await new Promise(requestAnimationFrame)
    await Promise.allSettled(document.getAnimations().map(({ finished }) => finished))
  })
}

/** What is wrong and where, and what axe could not decide about colours. */
async function violations(page: Page, runOnly: { type: 'tag' | 'rule'; values: readonly string[] }): Promise<string[]> {
  await atRest(page)
  const { violations: found, incomplete } = await page.evaluate(
    (options) =>
      (
        globalThis as unknown as { axe: { run: (options: object) => Promise<{ violations: Finding[]; incomplete: Finding[] }> } }
      ).axe.run(options),
    { runOnly },
  )
  const undecided = incomplete.filter(({ id }) => id === 'color-contrast')
  return [...found, ...undecided]
    .flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html.slice(0, 120)} ${any[0]?.message}`))
    .filter((line) => !line.endsWith(coveredByAnother))
}

function smallTargets(page: Page): Promise<string[]> {
  return page.locator('button:visible, a:visible, input:visible').evaluateAll(
    (all, least) =>
      all
        .map((element) => ({ element, box: element.getBoundingClientRect() }))
        .filter(({ box }) => box.width > 0 && (box.width < least || box.height < least))
        .map(({ element, box }) => `${element.outerHTML.slice(0, 80)} ${box.width} × ${box.height}`),
    minTargetPixels,
  )
}
