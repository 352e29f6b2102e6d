import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connection, deadlineMs, given, status, unread, visibility } from './client-fact.test.fixture.ts'
import { type ClientStack, openClientStack } from './client-stack.test.fixture.ts'

declare global {
  interface Window {
    tickedAt: number
    restored?: boolean
  }
}

/** A connection ends after two periods without one: time enough for a machine that is busy with other tests. */
const heartBeatMs = 4_000
/** Three periods of silence end a session; another one, as the gateway looks only now and then. */
const silenceMs = 4 * heartBeatMs
/** A timer that repeats stands still until the next full minute once a tab has been hidden for a second, not for five minutes. */
const slowTimers = ['--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1']

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_away', { gatewayEnv: { HEART_BEAT_MS: String(heartBeatMs) } })
}, 120_000)
afterAll(() => stack?.close())

const sessionIds = async (memberId: number) => (await stack.sessionsOf(memberId)).map(({ sessionId }) => sessionId)

test('a hidden tab whose timers stand still keeps its connection', { timeout: 180_000 }, async () => {
  const { context, tab } = await stack.window(1, slowTimers)
  const page = await tab()
  await status(page, 'connected')
  const before = await sessionIds(1)
  await page.evaluate((everyMs) => {
    setInterval(() => (window.tickedAt = performance.now()), everyMs)
  }, heartBeatMs)
  await (await context.newPage()).bringToFront()
  await visibility(page, 'hidden')
  // A heart-beat from a timer like that one would come too late.
  const standStill = () => page.evaluate((longMs) => performance.now() - window.tickedAt > longMs, silenceMs)
  await waitFor(standStill, { deadlineMs: 90_000, what: 'timers that stand still' })
  expect(await sessionIds(1)).toEqual(before)
  await stack.send(1, 'to a hidden tab')
  await given(page, ['to a hidden tab'])
})

test('a page in the back-forward cache holds no connection, and comes back as it was with what it missed', async () => {
  const { tab } = await stack.window(2)
  const page = await tab()
  await status(page, 'connected')
  await stack.send(2, 'before')
  await given(page, ['before'])
  await leaveFor(page, `${stack.origin}/elsewhere`)
  // It would wait for ever if the page before still led.
  await status(page, 'connected')
  expect((await connection(page)).leader).toBe(true)
  await stack.send(2, 'meanwhile')
  await given(page, ['meanwhile'])
  await stack.hasSessions(2, 1)
  await goBack(page)
  await given(page, ['before', 'meanwhile'])
  await status(page, 'connected')
  await stack.send(2, 'after')
  await given(page, ['before', 'meanwhile', 'after'])
  await unread(page, 3)
  await stack.hasSessions(2, 1)
})

test('while the leading page is in the back-forward cache another tab leads', async () => {
  const { tab } = await stack.window(3)
  const leading = await tab()
  await status(leading, 'connected')
  await unread(leading, 0)
  const other = await tab()
  await status(other, 'connected')
  expect((await connection(other)).leader).toBe(false)
  await leaveFor(leading, 'about:blank')
  await waitFor(async () => (await connection(other)).leader, { deadlineMs, what: 'the other tab to lead' })
  await stack.send(3, 'meanwhile')
  await given(other, ['meanwhile'])
  await goBack(leading)
  for (const page of [leading, other]) await given(page, ['meanwhile'])
  await status(leading, 'connected')
  expect((await connection(leading)).leader).toBe(false)
})

/** So that `goBack` knows whether it is the page that was left. */
async function leaveFor(page: Page, url: string): Promise<void> {
  await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => (window.restored = persisted)))
  await page.goto(url)
}

async function goBack(page: Page): Promise<void> {
  await page.goBack({ waitUntil: 'commit' })
  await waitFor(() => page.evaluate(() => window.restored), { deadlineMs, what: 'the page to be restored' })
}
