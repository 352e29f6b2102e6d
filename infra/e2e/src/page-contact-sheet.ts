import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startDatabase } from '@tidings/local'
import type { Browser } from 'playwright-core'
import { openBrowser, openDevice } from './fixture/page-browser.ts'
import { startPageStack } from './fixture/page-stack.ts'
import { type Language, type PageState, pageStates } from './fixture/page-state.ts'

/**
 * Makes the contact sheet of the README from screenshots of the demo page. With a directory as argument it also writes a screenshot of
 * every state in both themes, on a desktop and on a phone, to it. Run after `npm run build`:
 * `node infra/e2e/dist/page-contact-sheet.js [directory]`. It needs a font with Korean: `apt-get install fonts-noto-cjk`.
 */
const desktop = { viewport: { width: 1120, height: 760 } }
const phone = { viewport: { width: 375, height: 760 }, hasTouch: true, isMobile: true }
const sizes = { desktop, phone } as const
const themes = { light: 'en', dark: 'ko' } as const satisfies Record<string, Language>
type Theme = keyof typeof themes

interface Shot {
  readonly state: PageState
  readonly theme: Theme
  readonly size: keyof typeof sizes
}

/** The screenshots of the contact sheet, row by row. */
const sheet: readonly (readonly Shot[])[] = [
  [
    { state: 'inbox', theme: 'light', size: 'desktop' },
    { state: 'inbox', theme: 'light', size: 'phone' },
    { state: 'sent', theme: 'dark', size: 'desktop' },
  ],
  [
    { state: 'inbox', theme: 'dark', size: 'desktop' },
    { state: 'home', theme: 'dark', size: 'phone' },
    { state: 'answer', theme: 'light', size: 'desktop' },
  ],
]
const rowPixels = 330

const database = await startDatabase()
const [stack, browser] = await Promise.all([startPageStack(database.url, 'page_contact_sheet'), openBrowser()])
try {
  const directory = process.argv[2]
  if (directory) mkdirSync(directory, { recursive: true })
  const screenshots = new Map<string, Buffer>()
  for (const shot of allShots()) {
    if (!directory && !sheet.flat().some((wanted) => nameOf(wanted) === nameOf(shot))) continue
    const screenshot = await take(shot)
    screenshots.set(nameOf(shot), screenshot)
    if (directory) writeFileSync(join(directory, `${nameOf(shot)}.png`), screenshot)
  }
  const png = await compose(browser, screenshots)
  writeFileSync(join(import.meta.dirname, '../../../packages/demo/contact-sheet.png'), png)
  console.log(`wrote packages/demo/contact-sheet.png, ${Math.round(png.length / 1_024)} KB`)
} finally {
  await browser.close()
  await stack.stop()
  await database.stop()
}

function allShots(): Shot[] {
  return (Object.keys(pageStates) as PageState[]).flatMap((state) =>
    (Object.keys(themes) as Theme[]).flatMap((theme) =>
      (Object.keys(sizes) as (keyof typeof sizes)[]).map((size) => ({ state, theme, size })),
    ),
  )
}

async function take({ state, theme, size }: Shot): Promise<Buffer> {
  const language = themes[theme]
  const locale = language === 'ko' ? 'ko-KR' : 'en-US'
  const context = await openDevice(browser, {
    url: stack.url,
    colorScheme: theme,
    locale,
    reducedMotion: 'reduce',
    ...sizes[size],
  })
  const page = await pageStates[state]({ context, stack, language })
  const screenshot = await page.screenshot()
  await context.close()
  return screenshot
}

async function compose(on: Browser, screenshots: ReadonlyMap<string, Buffer>): Promise<Buffer> {
  const page = await on.newPage({ viewport: { width: 1_240, height: 100 } })
  const rows = sheet.map(
    (row) =>
      `<div>${row.map((shot) => `<img src="data:image/png;base64,${screenshots.get(nameOf(shot))?.toString('base64')}">`).join('')}</div>`,
  )
  await page.setContent(`<style>
    body { background: #c9d1d3; display: inline-grid; gap: 16px; margin: 0; padding: 16px }
    div { display: flex; gap: 16px }
    img { border-radius: 6px; display: block; height: ${rowPixels}px }
  </style>${rows.join('')}`)
  const png = await page.locator('body').screenshot()
  await page.close()
  return png
}

function nameOf({ state, theme, size }: Shot): string {
  return `${state}-${size}-${theme}`
}
