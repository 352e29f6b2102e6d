import { findBrowser } from '@tidings/local'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findBrowser(), args })
}

export interface DeviceOptions extends BrowserContextOptions {
  readonly url: string
  /** Signed in as this member. */
  readonly memberId?: number
  readonly notificationsGranted?: boolean
}

/** A browser of its own: cookies, storage and permissions are not shared. English and light, unless told otherwise. */
export async function openDevice(
  browser: Browser,
  { url, memberId, notificationsGranted = false, ...options }: DeviceOptions,
): Promise<BrowserContext> {
  const context = await browser.newContext({ baseURL: url, locale: 'en-US', colorScheme: 'light', ...options })
  context.setDefaultTimeout(40_000)
  if (notificationsGranted) await context.grantPermissions(['notifications'], { origin: url })
  if (memberId !== undefined) await context.request.post('/login', { data: { memberId } })
  return context
}

/** A tab with the page in it, live. */
export async function openPage(context: BrowserContext, path = '/'): Promise<Page> {
  const page = await context.newPage()
  await page.goto(path)
  await live(page)
  return page
}

export async function live(page: Page): Promise<void> {
  await page.locator('.connection-pill[data-status=connected]').waitFor()
}

/** For a member that no other test uses. */
export const newMember = (
  (next: number) => () =>
    next++
)(101)
