import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findBrowser, spawnOwned } from '@tidings/local'
import { type BrowserContext, chromium } from 'playwright-core'
import { onTestFinished } from 'vitest'

const startMs = 30_000
const quiet = ['gpu', 'background-networking', 'component-update', 'sync'].map((what) => `--disable-${what}`)

/**
 * A browser as a person has it, until the test has finished: the tab in front hides the others, hidden tabs have slow timers, and pages
 * that were left are kept in the back-forward cache. Playwright's own browsers keep every page visible, awake and out of that cache.
 */
export async function openBrowserWindow(flags: readonly string[] = []): Promise<BrowserContext> {
  const profile = mkdtempSync(join(tmpdir(), 'tidings-profile-'))
  const process = spawnOwned({
    name: 'browser',
    command: findBrowser(),
    args: [
      '--headless',
      '--no-sandbox',
      '--no-first-run',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      ...quiet,
      ...flags,
    ],
    temporaryDirectory: profile,
  })
  onTestFinished(async () => {
    await process.kill()
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 })
  })
  const address = await process.firstLine((line) => /^DevTools listening on (\S+)/.exec(line)?.[1], startMs)
  const browser = await chromium.connectOverCDP(address, { noDefaults: true })
  const [context] = browser.contexts()
  if (!context) throw new Error('a browser without a window')
  return context
}
