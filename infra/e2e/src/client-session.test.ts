import { waitFor } from '@tidings/local'
import type { TidingsOptions } from '@tidings/client'
import type { Page, WebSocketRoute } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  deadlineMs,
  readConnection,
  readInbox,
  waitForNotifications,
  waitForStatus,
  waitForUnread,
} from './fixture/client-state.ts'
import { type ClientStack, type Device, startClientStack } from './fixture/client-stack.ts'

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_session')
}, 120_000)
afterAll(() => stack?.close())

const statusHistory = (page: Page) => page.evaluate(() => window.states.map((state) => state.status))

/** Three times the longest backoff of the test page. */
const threeBackoffsMs = 1_200

/** Waits long enough for a scheduled reconnect to have happened. */
async function waitOutBackoff(page: Page): Promise<void> {
  await page.evaluate((waitMs) => new Promise((resolve) => setTimeout(resolve, waitMs)), threeBackoffsMs)
}

test('renews an expiring token without losing the status connected or a notification', async () => {
  // The client renews at half of the lifetime. The other half is enough for a machine that is busy with other tests.
  const tokenSeconds = 16
  let renewals = 0
  const device = await stack.openDevice(1, {
    tokenSeconds,
    refreshSession: async ({ signIn }) => {
      renewals += 1
      await signIn(1, tokenSeconds)
      return true
    },
  })
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  const messages: string[] = []
  // Longer than one lifetime, so that there are two renewals.
  const end = performance.now() + (tokenSeconds + 1) * 1_000
  while (performance.now() < end) {
    messages.push(`message-${messages.length}`)
    await stack.send(1, messages.at(-1) ?? '')
    await waitFor(async () => (await page.evaluate(() => window.arrived.length)) === messages.length, {
      deadlineMs,
      what: 'the next notification',
    })
  }
  await waitForNotifications(page, messages)
  await waitFor(() => renewals >= 2, { deadlineMs, what: 'a second renewal' })
  await waitFor(async () => (await statusHistory(page)).filter((each) => each === 'connected').length > renewals, {
    deadlineMs,
    what: 'a connection after each renewal',
  })
  const seen = await statusHistory(page)
  expect(new Set(seen.slice(seen.indexOf('connected')))).toEqual(new Set(['connected']))
  // A new connection replaces the previous one only when it is ready, so there were two for a moment.
  await stack.waitForSessionCount(1, 1)
})

describe('has the status unauthorized and does not reconnect', () => {
  test('when refreshSession resolves to false', async () => {
    let refreshes = 0
    const device = await stack.openDevice(2, {
      // Longer than it takes to open a device and its first tab.
      tokenSeconds: 12,
      refreshSession: async () => {
        refreshes += 1
        return false
      },
    })
    const page = await device.openTab()
    await waitForStatus(page, 'connected')
    await waitForStatus(page, 'unauthorized')
    expect(refreshes).toBe(2) // before the token expires, and when it has
    const { connectionAttempts } = stack.proxy
    await page.evaluate(() => dispatchEvent(new Event('online')))
    await waitOutBackoff(page)
    expect(stack.proxy.connectionAttempts).toBe(connectionAttempts)
    expect(await readConnection(page)).toEqual({ status: 'unauthorized', leader: true })
    // `start()` after a new sign-in reconnects.
    await device.signIn(2)
    await page.evaluate(() => window.tidings.start())
    await waitForStatus(page, 'connected')
  })

  test('when there is no cookie and no refreshSession', async () => {
    const device = await stack.openDevice(3)
    await device.context.clearCookies()
    const page = await device.openTab()
    await waitForStatus(page, 'unauthorized')
    const { connectionAttempts } = stack.proxy
    await waitOutBackoff(page)
    expect(stack.proxy.connectionAttempts).toBe(connectionAttempts)
  })

  test('when there is still no valid cookie after refreshSession resolves to true', async () => {
    let refreshes = 0
    const device = await stack.openDevice(4, {
      refreshSession: async () => {
        refreshes += 1
        return true
      },
    })
    await device.context.clearCookies()
    const page = await device.openTab()
    await waitForStatus(page, 'unauthorized')
    const { connectionAttempts } = stack.proxy
    const before = refreshes
    await waitOutBackoff(page)
    expect([stack.proxy.connectionAttempts, refreshes]).toEqual([connectionAttempts, before])
  })
})

test('renews an expired cookie at the start, and reconnects after its session was revoked', async () => {
  const device = await stack.openDevice(5, {
    tokenSeconds: -10,
    refreshSession: async ({ signIn }) => {
      await signIn(5)
      return true
    },
  })
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await waitForUnread(page, 0)
  await stack.post('/session/revoke', { memberId: 5 })
  await waitFor(async () => (await statusHistory(page)).filter((each) => each === 'connected').length === 2, {
    deadlineMs,
    what: 'a second connection',
  })
  await stack.send(5, 'after')
  await waitForNotifications(page, ['after'])
})

test('calls refreshSession again after it has rejected', async () => {
  let refreshes = 0
  const device = await stack.openDevice(6, {
    tokenSeconds: -10,
    refreshSession: async ({ signIn }) => {
      refreshes += 1
      if (refreshes < 4) throw new Error('offline')
      await signIn(6)
      return true
    },
  })
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  expect(await statusHistory(page)).toContain('offline')
})

/** Opens two tabs with a count on the icon, which is recorded, and a notification. Resolves to the leading tab and the other. */
async function openTwoTabs(device: Device, memberId: number): Promise<[leader: Page, follower: Page]> {
  await device.context.addInitScript(() => {
    Object.assign(navigator, { setAppBadge: async (count: number) => void Object.assign(window, { iconCount: count }) })
  })
  const tabs: [Page, Page] = [await device.openTab({ updateBadge: true }), await device.openTab({ updateBadge: true })]
  for (const page of tabs) await waitForStatus(page, 'connected')
  await stack.send(memberId, 'private')
  for (const page of tabs) await waitForNotifications(page, ['private'])
  for (const page of tabs) await waitForUnread(page, 1)
  return (await readConnection(tabs[0])).leader ? tabs : [tabs[1], tabs[0]]
}
const iconCount = (page: Page) => page.evaluate(() => (window as { iconCount?: number }).iconCount)

describe('signOut()', () => {
  test.each(['leading', 'other'] as const)('called in the %s tab ends the session, and clears all tabs', async (which) => {
    const memberId = which === 'leading' ? 21 : 22
    let refreshes = 0
    const device = await stack.openDevice(memberId, {
      refreshSession: async ({ signIn }) => {
        refreshes += 1
        await signIn(memberId)
        return true
      },
    })
    // With a lifetime of its own, since tokens that were issued in the same second would be the same one.
    const elsewhere = await (await stack.openDevice(memberId, { tokenSeconds: 3_000 })).openTab()
    await waitForStatus(elsewhere, 'connected')
    const [leader, follower] = await openTwoTabs(device, memberId)
    const [cookie] = await device.context.cookies()
    const refused = which === 'leading' ? leader : follower
    expect(await refused.evaluate(() => window.tidings.signOut())).toBe(true)
    for (const page of [leader, follower]) {
      await waitFor(async () => (await readConnection(page)).status === 'stopped', { deadlineMs, what: 'stopped' })
      expect(await readConnection(page)).toEqual({ status: 'stopped', reason: 'signed-out', leader: false })
      expect(await readInbox(page)).toEqual({ items: [], unreadCount: 0, unseenCount: 0, status: 'idle', hasMore: false })
      expect(await iconCount(page)).toBe(0)
    }
    // The token is refused, was not renewed, and the other device stays.
    expect(await leader.evaluate(async () => (await fetch('/notification')).status)).toBe(401)
    expect(refreshes).toBe(0)
    expect(await device.context.cookies()).toEqual([cookie])
    await stack.waitForSessionCount(memberId, 1)
    await waitForStatus(elsewhere, 'connected')
    await device.signIn(23)
    for (const page of [leader, follower]) await page.evaluate(() => window.tidings.start())
    for (const page of [leader, follower]) await waitForStatus(page, 'connected')
    for (const page of [leader, follower]) await waitForUnread(page, 0)
    await stack.waitForSessionCount(23, 1)
  })

  test('clears the tabs, and says so, when the server does not respond', async () => {
    const device = await stack.openDevice(24)
    const [leader, follower] = await openTwoTabs(device, 24)
    await device.context.route('**/session', (route) => route.abort())
    expect(await follower.evaluate(() => window.tidings.signOut())).toBe(false)
    for (const page of [leader, follower]) await waitForStatus(page, 'stopped')
    expect((await readInbox(leader)).items).toEqual([])
    await stack.waitForSessionCount(24, 0)
  })
})

/** Opens a tab whose WebSockets the test can close with a code, as a gateway would. */
async function openRoutedTab(device: Device, options: TidingsOptions = {}): Promise<{ page: Page; sockets: WebSocketRoute[] }> {
  const sockets: WebSocketRoute[] = []
  await device.context.routeWebSocket('**/ws', (socket) => {
    socket.connectToServer()
    sockets.push(socket)
  })
  const page = await device.openTab(options)
  await waitForStatus(page, 'connected')
  return { page, sockets }
}

describe('close codes', () => {
  test('stops at 4400, 4403 and 4409 until start() is called', async () => {
    const device = await stack.openDevice(7)
    const { page, sockets } = await openRoutedTab(device)
    const reasons = { 4400: 'incompatible', 4403: 'forbidden', 4409: 'displaced' }
    for (const [code, reason] of Object.entries(reasons)) {
      const before = sockets.length
      await sockets.at(-1)?.close({ code: Number(code), reason: 'closed by the test' })
      await waitForStatus(page, 'stopped')
      await page.evaluate(() => dispatchEvent(new Event('online')))
      await waitOutBackoff(page)
      expect(sockets).toHaveLength(before)
      expect(await readConnection(page)).toEqual({ status: 'stopped', reason, leader: true })
      await page.evaluate(() => window.tidings.start())
      await waitForStatus(page, 'connected')
    }
  })

  test('reconnects and resumes at 1000, 1012, 4408, 4429, 4508 and any other code', async () => {
    const device = await stack.openDevice(8)
    const { page, sockets } = await openRoutedTab(device)
    const messages: string[] = []
    for (const code of [1000, 1012, 4408, 4429, 4508, 4999]) {
      const before = sockets.length
      await sockets.at(-1)?.close({ code, reason: '' })
      messages.push(`after-${code}`)
      await stack.send(8, `after-${code}`)
      await waitFor(() => sockets.length > before, { deadlineMs, what: 'another connection' })
      await waitForNotifications(page, messages)
      await waitForStatus(page, 'connected')
    }
  })

  test('waits for the delay of a 1012, unless the browser comes online meanwhile', async () => {
    const device = await stack.openDevice(9)
    const { page, sockets } = await openRoutedTab(device)
    await sockets[0]?.close({ code: 1012, reason: 'reconnect after 600000 ms' })
    await waitForStatus(page, 'reconnecting')
    const { retryAt } = await readConnection(page)
    expect((retryAt ?? 0) - Date.now()).toBeGreaterThan(590_000)
    await waitOutBackoff(page)
    expect(sockets).toHaveLength(1)
    await page.evaluate(() => dispatchEvent(new Event('online')))
    await waitForStatus(page, 'connected')
  })

  test('stops all tabs at a 4409 in the leading tab, and reconnects when any of them calls start()', async () => {
    const device = await stack.openDevice(10)
    const { page, sockets } = await openRoutedTab(device)
    const other = await device.openTab()
    await waitForStatus(other, 'connected')
    await sockets[0]?.close({ code: 4409, reason: 'displaced' })
    await waitForStatus(page, 'stopped')
    await waitForStatus(other, 'stopped')
    expect(await readConnection(other)).toEqual({ status: 'stopped', reason: 'displaced', leader: false })
    await other.evaluate(() => window.tidings.start())
    await waitForStatus(page, 'connected')
    await waitForStatus(other, 'connected')
  })
})

test('is offline while neither gateway nor API can be reached, and reconnects when both can', async () => {
  const device = await stack.openDevice(11)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await page.route('**/notification/**', (route) => route.abort())
  stack.proxy.takeDown()
  await waitForStatus(page, 'offline')
  await page.unroute('**/notification/**')
  stack.proxy.bringUp()
  await waitForStatus(page, 'connected')
})
