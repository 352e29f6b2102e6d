import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, readConnection, waitForNotifications, waitForStatus, waitForVisibility } from './fixture/client-state.ts'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

/** Longer than any test, so that only an event such as visibility can trigger the reconnect. */
const longBackoff = { reconnectBaseMs: 2 ** 30, reconnectMaxMs: 2 ** 30 }
/** Long, so that the test can tell on a busy machine, too, that a connection was dropped before two heart-beats were missed. */
const heartBeatMs = 30_000
/** Silence after which stompjs closes a connection by itself. */
const heartBeatTimeoutMs = 2 * heartBeatMs

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_wake', { gatewayEnv: { HEART_BEAT_MS: String(heartBeatMs) } })
}, 120_000)
afterAll(() => stack?.close())

/** Brings a tab to the front, and resolves when the others are hidden. */
async function show(front: Page, behind: readonly Page[]): Promise<void> {
  await front.bringToFront()
  await waitForVisibility(front, 'visible')
  for (const page of behind) await waitForVisibility(page, 'hidden')
}

/** Resolves when the page has scheduled its next reconnect far in the future. */
async function waitForLongBackoff(page: Page): Promise<void> {
  const farAway = async () => ((await readConnection(page)).retryAt ?? 0) - Date.now() > deadlineMs
  await waitFor(farAway, { deadlineMs, what: 'a reconnect far in the future' })
}

test('reconnects at once during a long backoff when the tab becomes visible', async () => {
  const { context, openTab } = await stack.openWindow(1)
  const page = await openTab(longBackoff)
  await waitForStatus(page, 'connected')
  const other = await context.newPage()
  await show(other, [page])
  stack.proxy.dropConnections()
  await waitForLongBackoff(page)
  await stack.send(1, 'while hidden')
  await show(page, [other])
  await waitForNotifications(page, ['while hidden'])
  await waitForStatus(page, 'connected')
})

test('makes a hidden leading tab reconnect during a long backoff when another tab becomes visible', async () => {
  const { context, openTab } = await stack.openWindow(2)
  const leading = await openTab(longBackoff)
  await waitForStatus(leading, 'connected')
  const following = await openTab(longBackoff)
  await waitForStatus(following, 'connected')
  const other = await context.newPage()
  await show(other, [leading, following])
  stack.proxy.dropConnections()
  await waitForLongBackoff(following)
  await stack.send(2, 'while hidden')
  await show(following, [leading])
  for (const page of [leading, following]) await waitForNotifications(page, ['while hidden'])
  expect((await readConnection(leading)).leader).toBe(true)
})

test.each(['visible', 'online'] as const)('drops a silently dead connection soon after the event %s', async (event) => {
  const memberId = event === 'visible' ? 3 : 4
  const { context, openTab } = await stack.openWindow(memberId)
  const page = await openTab()
  await waitForStatus(page, 'connected')
  const other = await context.newPage()
  if (event === 'visible') await show(other, [page])
  const diedAt = performance.now()
  stack.proxy.blackhole()
  await stack.send(memberId, 'while the connection is dead')
  if (event === 'visible') await show(page, [other])
  else await page.evaluate(() => dispatchEvent(new Event('online')))
  await waitForNotifications(page, ['while the connection is dead'])
  expect(performance.now() - diedAt).toBeLessThan(heartBeatTimeoutMs)
  await waitForStatus(page, 'connected')
})

test('keeps a working connection when the tab becomes visible repeatedly', async () => {
  const { context, openTab } = await stack.openWindow(5)
  const page = await openTab()
  await waitForStatus(page, 'connected')
  const sessionIds = async () => (await stack.readSessions(5)).map(({ sessionId }) => sessionId)
  const before = await sessionIds()
  const other = await context.newPage()
  for (let looks = 0; looks < 5; looks += 1) {
    await show(other, [page])
    await show(page, [other])
  }
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 4_000)))
  expect(await sessionIds()).toEqual(before)
  expect(before).toHaveLength(1)
})
