import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  deadlineMs,
  readConnection,
  waitForNotifications,
  waitForStatus,
  waitForUnread,
  waitForVisibility,
} from './fixture/client-state.ts'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

declare global {
  interface Window {
    /** `performance.now()` of the last tick of the test's own timer. */
    tickedAt: number
    /** Whether the page was restored from the back-forward cache. */
    restored?: boolean
  }
}

/** The client ends a connection after two silent periods, which is long enough for a machine that is busy with other tests. */
const heartBeatMs = 4_000
/** Three silent periods end a session on the gateway, plus one for the interval of its sweep. */
const silenceMs = 4 * heartBeatMs
/** Chromium throttles repeating timers of a hidden tab to one tick a minute, with this flag after one second in place of five minutes. */
const throttlingFlags = ['--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1']

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_away', { gatewayEnv: { HEART_BEAT_MS: String(heartBeatMs) } })
}, 120_000)
afterAll(() => stack?.close())

const sessionIds = async (memberId: number) => (await stack.readSessions(memberId)).map(({ sessionId }) => sessionId)

test('keeps the connection of a hidden tab whose timers are throttled', { timeout: 180_000 }, async () => {
  const { context, openTab } = await stack.openWindow(1, throttlingFlags)
  const page = await openTab()
  await waitForStatus(page, 'connected')
  const before = await sessionIds(1)
  await page.evaluate((everyMs) => {
    setInterval(() => (window.tickedAt = performance.now()), everyMs)
  }, heartBeatMs)
  await (await context.newPage()).bringToFront()
  await waitForVisibility(page, 'hidden')
  // A heart-beat from a timer like this one would be too late.
  const timersThrottled = () => page.evaluate((longMs) => performance.now() - window.tickedAt > longMs, silenceMs)
  await waitFor(timersThrottled, { deadlineMs: 90_000, what: 'throttled timers' })
  expect(await sessionIds(1)).toEqual(before)
  await stack.send(1, 'to a hidden tab')
  await waitForNotifications(page, ['to a hidden tab'])
})

test('a page in the back-forward cache holds no connection, and receives what it missed when it is restored', async () => {
  const { openTab } = await stack.openWindow(2)
  const page = await openTab()
  await waitForStatus(page, 'connected')
  await stack.send(2, 'before')
  await waitForNotifications(page, ['before'])
  await leaveFor(page, `${stack.origin}/elsewhere`)
  // Only succeeds if the cached page has given up leading.
  await waitForStatus(page, 'connected')
  expect((await readConnection(page)).leader).toBe(true)
  await stack.send(2, 'meanwhile')
  await waitForNotifications(page, ['meanwhile'])
  await stack.waitForSessionCount(2, 1)
  await goBack(page)
  await waitForNotifications(page, ['before', 'meanwhile'])
  await waitForStatus(page, 'connected')
  await stack.send(2, 'after')
  await waitForNotifications(page, ['before', 'meanwhile', 'after'])
  await waitForUnread(page, 3)
  await stack.waitForSessionCount(2, 1)
})

test('another tab takes over while the leading page is in the back-forward cache', async () => {
  const { openTab } = await stack.openWindow(3)
  const leading = await openTab()
  await waitForStatus(leading, 'connected')
  await waitForUnread(leading, 0)
  const other = await openTab()
  await waitForStatus(other, 'connected')
  expect((await readConnection(other)).leader).toBe(false)
  await leaveFor(leading, 'about:blank')
  await waitFor(async () => (await readConnection(other)).leader, { deadlineMs, what: 'the other tab to lead' })
  await stack.send(3, 'meanwhile')
  await waitForNotifications(other, ['meanwhile'])
  await goBack(leading)
  for (const page of [leading, other]) await waitForNotifications(page, ['meanwhile'])
  await waitForStatus(leading, 'connected')
  expect((await readConnection(leading)).leader).toBe(false)
})

/** Navigates away. Before, it makes the page record whether it is restored, which `goBack` waits for. */
async function leaveFor(page: Page, url: string): Promise<void> {
  await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => (window.restored = persisted)))
  await page.goto(url)
}

/** Navigates back, and resolves when the page was restored from the back-forward cache. */
async function goBack(page: Page): Promise<void> {
  await page.goBack({ waitUntil: 'commit' })
  await waitFor(() => page.evaluate(() => window.restored), { deadlineMs, what: 'the page to be restored' })
}
