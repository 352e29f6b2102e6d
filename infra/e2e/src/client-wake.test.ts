import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connection, deadlineMs, given, status, visibility } from './client-fact.test.fixture.ts'
import { type ClientStack, openClientStack } from './client-stack.test.fixture.ts'

/** Longer than any test: only waking helps. */
const longBackoff = { reconnectBaseMs: 2 ** 30, reconnectMaxMs: 2 ** 30 }
/** Long ones: that a connection is given up before two of them are missed is then true on a busy machine as well. */
const heartBeatMs = 30_000
/** When stompjs gives up a silent connection by itself. */
const heartBeatTimeoutMs = 2 * heartBeatMs

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_wake', { gatewayEnv: { HEART_BEAT_MS: String(heartBeatMs) } })
}, 120_000)
afterAll(() => stack?.close())

/** Brings the tab to the front, and waits until those behind know. */
async function show(front: Page, behind: readonly Page[]): Promise<void> {
  await front.bringToFront()
  await visibility(front, 'visible')
  for (const page of behind) await visibility(page, 'hidden')
}

async function longReconnecting(page: Page): Promise<void> {
  const far = async () => ((await connection(page)).retryAt ?? 0) - Date.now() > deadlineMs
  await waitFor(far, { deadlineMs, what: 'a reconnect that is far away' })
}

test('in long backoff: a tab that becomes visible connects at once', async () => {
  const { context, tab } = await stack.window(1)
  const page = await tab(longBackoff)
  await status(page, 'connected')
  const other = await context.newPage()
  await show(other, [page])
  stack.wire.cut()
  await longReconnecting(page)
  await stack.send(1, 'while hidden')
  await show(page, [other])
  await given(page, ['while hidden'])
  await status(page, 'connected')
})

test('in long backoff: a tab that becomes visible wakes the hidden one that leads', async () => {
  const { context, tab } = await stack.window(2)
  const leading = await tab(longBackoff)
  await status(leading, 'connected')
  const following = await tab(longBackoff)
  await status(following, 'connected')
  const other = await context.newPage()
  await show(other, [leading, following])
  stack.wire.cut()
  await longReconnecting(following)
  await stack.send(2, 'while hidden')
  await show(following, [leading])
  for (const page of [leading, following]) await given(page, ['while hidden'])
  expect((await connection(leading)).leader).toBe(true)
})

test.each(['visible', 'online'] as const)('a connection that died without a word is given up soon after %s', async (sign) => {
  const memberId = sign === 'visible' ? 3 : 4
  const { context, tab } = await stack.window(memberId)
  const page = await tab()
  await status(page, 'connected')
  const other = await context.newPage()
  if (sign === 'visible') await show(other, [page])
  const died = performance.now()
  stack.wire.silence()
  await stack.send(memberId, 'into the void')
  if (sign === 'visible') await show(page, [other])
  else await page.evaluate(() => dispatchEvent(new Event('online')))
  await given(page, ['into the void'])
  expect(performance.now() - died).toBeLessThan(heartBeatTimeoutMs)
  await status(page, 'connected')
})

test('a living connection is kept, however often somebody looks', async () => {
  const { context, tab } = await stack.window(5)
  const page = await tab()
  await status(page, 'connected')
  const sessionIds = async () => (await stack.sessionsOf(5)).map(({ sessionId }) => sessionId)
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
