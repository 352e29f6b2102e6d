import { waitFor } from '@tidings/local'
import type { TidingsOptions } from '@tidings/client'
import type { Page, WebSocketRoute } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connection, deadlineMs, given, status, unread } from './client-fact.test.fixture.ts'
import { type ClientStack, type Device, openClientStack } from './client-stack.test.fixture.ts'

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_session')
}, 120_000)
afterAll(() => stack?.close())

const statuses = (page: Page) => page.evaluate(() => window.states.map((state) => state.status))

/** Waits until nothing more can come of what was put off: three times the longest backoff of the page. */
async function quiet(page: Page): Promise<void> {
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_200)))
}

test('a token that expires in the middle is renewed unnoticed', async () => {
  // Half of it is left when it is renewed: enough for a machine that is busy with other tests.
  const tokenSeconds = 16
  let renewals = 0
  const device = await stack.device(1, {
    tokenSeconds,
    refreshSession: async ({ signIn }) => {
      renewals += 1
      await signIn(1, tokenSeconds)
      return true
    },
  })
  const page = await device.tab()
  await status(page, 'connected')
  const messages: string[] = []
  // Longer than a token lasts, and another one.
  const end = performance.now() + (tokenSeconds + 1) * 1_000
  while (performance.now() < end) {
    messages.push(`message-${messages.length}`)
    await stack.send(1, messages.at(-1) ?? '')
    await waitFor(async () => (await page.evaluate(() => window.arrived.length)) === messages.length, {
      deadlineMs,
      what: 'the next',
    })
  }
  await given(page, messages)
  await waitFor(() => renewals >= 2, { deadlineMs, what: 'a second renewal' })
  await waitFor(async () => (await statuses(page)).filter((each) => each === 'connected').length > renewals, {
    deadlineMs,
    what: 'the connection after it',
  })
  const seen = await statuses(page)
  expect(new Set(seen.slice(seen.indexOf('connected')))).toEqual(new Set(['connected']))
  // Each lets go of the one before only when it is ready itself.
  await stack.hasSessions(1, 1)
})

describe('unauthorized, with no further attempts', () => {
  test('a renewal that is refused', async () => {
    let asked = 0
    const device = await stack.device(2, {
      // Longer than it takes to open a browser and its first tab.
      tokenSeconds: 12,
      refreshSession: async () => {
        asked += 1
        return false
      },
    })
    const page = await device.tab()
    await status(page, 'connected')
    await status(page, 'unauthorized')
    expect(asked).toBe(2) // before the end, and at the end
    const { attempts } = stack.wire
    await page.evaluate(() => dispatchEvent(new Event('online')))
    await quiet(page)
    expect(stack.wire.attempts).toBe(attempts)
    expect(await connection(page)).toEqual({ status: 'unauthorized', leader: true })
    // Until somebody has signed in and says so.
    await device.signIn(2)
    await page.evaluate(() => window.tidings.start())
    await status(page, 'connected')
  })

  test('no cookie from the start, and no refreshSession', async () => {
    const device = await stack.device(3)
    await device.context.clearCookies()
    const page = await device.tab()
    await status(page, 'unauthorized')
    const { attempts } = stack.wire
    await quiet(page)
    expect(stack.wire.attempts).toBe(attempts)
  })

  test('a renewal that does not help', async () => {
    let asked = 0
    const device = await stack.device(4, {
      refreshSession: async () => {
        asked += 1
        return true
      },
    })
    await device.context.clearCookies()
    const page = await device.tab()
    await status(page, 'unauthorized')
    const { attempts } = stack.wire
    const before = asked
    await quiet(page)
    expect([stack.wire.attempts, asked]).toEqual([attempts, before])
  })
})

test('an expired cookie is renewed at the start, and a revoked session comes back', async () => {
  const device = await stack.device(5, {
    tokenSeconds: -10,
    refreshSession: async ({ signIn }) => {
      await signIn(5)
      return true
    },
  })
  const page = await device.tab()
  await status(page, 'connected')
  await unread(page, 0)
  await stack.post('/session/revoke', { memberId: 5 })
  await waitFor(async () => (await statuses(page)).filter((each) => each === 'connected').length === 2, {
    deadlineMs,
    what: 'a second connection',
  })
  await stack.send(5, 'after')
  await given(page, ['after'])
})

test('a refreshSession that cannot find out is asked again', async () => {
  let asked = 0
  const device = await stack.device(6, {
    tokenSeconds: -10,
    refreshSession: async ({ signIn }) => {
      asked += 1
      if (asked < 4) throw new Error('offline')
      await signIn(6)
      return true
    },
  })
  const page = await device.tab()
  await status(page, 'connected')
  expect(await statuses(page)).toContain('offline')
})

/** A tab whose WebSockets the test can close as a gateway would. */
async function routed(device: Device, options: TidingsOptions = {}): Promise<{ page: Page; sockets: WebSocketRoute[] }> {
  const sockets: WebSocketRoute[] = []
  await device.context.routeWebSocket('**/ws', (socket) => {
    socket.connectToServer()
    sockets.push(socket)
  })
  const page = await device.tab(options)
  await status(page, 'connected')
  return { page, sockets }
}

describe('close codes', () => {
  test('4400, 4403, 4409: stopped, until somebody acts', async () => {
    const device = await stack.device(7)
    const { page, sockets } = await routed(device)
    const reasons = { 4400: 'incompatible', 4403: 'forbidden', 4409: 'displaced' }
    for (const [code, reason] of Object.entries(reasons)) {
      const before = sockets.length
      await sockets.at(-1)?.close({ code: Number(code), reason: 'told so' })
      await status(page, 'stopped')
      await page.evaluate(() => dispatchEvent(new Event('online')))
      await quiet(page)
      expect(sockets).toHaveLength(before)
      expect(await connection(page)).toEqual({ status: 'stopped', reason, leader: true })
      await page.evaluate(() => window.tidings.start())
      await status(page, 'connected')
    }
  })

  test('1000, 1012, 4408, 4429, 4508 and any other: comes back, and resumes', async () => {
    const device = await stack.device(8)
    const { page, sockets } = await routed(device)
    const messages: string[] = []
    for (const code of [1000, 1012, 4408, 4429, 4508, 4999]) {
      const before = sockets.length
      await sockets.at(-1)?.close({ code, reason: '' })
      messages.push(`after-${code}`)
      await stack.send(8, `after-${code}`)
      await waitFor(() => sockets.length > before, { deadlineMs, what: 'another connection' })
      await given(page, messages)
      await status(page, 'connected')
    }
  })

  test('1012 with a delay: not earlier, unless somebody comes back to the page', async () => {
    const device = await stack.device(9)
    const { page, sockets } = await routed(device)
    await sockets[0]?.close({ code: 1012, reason: 'reconnect after 600000 ms' })
    await status(page, 'reconnecting')
    const { retryAt } = await connection(page)
    expect((retryAt ?? 0) - Date.now()).toBeGreaterThan(590_000)
    await quiet(page)
    expect(sockets).toHaveLength(1)
    await page.evaluate(() => dispatchEvent(new Event('online')))
    await status(page, 'connected')
  })

  test('4409 in the leading tab stops all of them, and any of them can go on', async () => {
    const device = await stack.device(10)
    const { page, sockets } = await routed(device)
    const other = await device.tab()
    await status(other, 'connected')
    await sockets[0]?.close({ code: 4409, reason: 'displaced' })
    await status(page, 'stopped')
    await status(other, 'stopped')
    expect(await connection(other)).toEqual({ status: 'stopped', reason: 'displaced', leader: false })
    await other.evaluate(() => window.tidings.start())
    await status(page, 'connected')
    await status(other, 'connected')
  })
})

test('neither gateway nor API: offline, and back as soon as both are', async () => {
  const device = await stack.device(11)
  const page = await device.tab()
  await status(page, 'connected')
  await page.route('**/notification/**', (route) => route.abort())
  stack.wire.down()
  await status(page, 'offline')
  await page.unroute('**/notification/**')
  stack.wire.up()
  await status(page, 'connected')
})
