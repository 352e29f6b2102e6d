import {
  memberToken,
  newVapidVariables,
  openStoredReach,
  type PushService,
  type PushServiceSubscription,
  startPushService,
  type StoredReach,
  waitFor,
} from '@tidings/local'
import type { Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectNoViolations } from './fixture/accessibility.ts'
import { type ClientStack, type Device, startClientStack } from './fixture/client-stack.ts'
import { deadlineMs, waitForNotifications, waitForStatus, waitForUnread } from './fixture/client-state.ts'
import { replacePushManager } from './fixture/push-manager.ts'
import { openPushWorker, type PushWorker } from './fixture/push-worker.ts'
import { longRun } from './fixture/streamed-answer.ts'

let service: PushService
let stack: ClientStack
let stored: StoredReach
beforeAll(async () => {
  service = await startPushService()
  const apiEnv = { ...newVapidVariables(), PUSH_PRIVATE_ADDRESSES: 'allow', PUSH_GRACE_SECONDS: '3' }
  stack = await startClientStack('client_push', { entry: 'push-page.ts', apiEnv })
  stored = await openStoredReach(stack.databaseUrl)
}, 120_000)
afterAll(async () => {
  await stored?.close()
  await stack?.close()
  await service?.close()
})

interface Opened {
  readonly device: Device
  readonly page: Page
  readonly push: PushWorker
  /** Of this browser, the oldest first. */
  readonly subscriptions: readonly PushServiceSubscription[]
}

/** Opens a device of a member with one tab, whose service worker is registered. */
async function openPushDevice(memberId: number): Promise<Opened> {
  const device = await stack.openDevice(memberId)
  const subscriptions = await replacePushManager(device.context, service)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await waitForUnread(page, 0)
  return { device, page, subscriptions, push: await openPushWorker(device.context, page) }
}

/** Sends a notification that is pushed if no device receives it, and resolves to its id. */
async function sendToPush(memberId: number, message: string): Promise<number> {
  const escalate = { push: true }
  return (await stack.post('/notification/send', { memberId, message, redirectPath: `/${message}`, escalate }))[
    'notificationId'
  ] as number
}

/** Records the ids of each report of received notifications that the tabs of a device send. Called before the first tab is opened. */
function recordReports({ context }: Device): readonly (readonly number[])[] {
  const reports: number[][] = []
  const sent = ({ payload }: { payload: string | Buffer }) => {
    const [head = '', body = ''] = String(payload).split('\n\n')
    if (!head.startsWith('SEND\n') || !head.includes('destination:/publish/notification/received\n')) return
    reports.push((JSON.parse(body.replace('\0', '')) as { notificationIds: number[] }).notificationIds)
  }
  context.on('page', (page) => page.on('websocket', (socket) => socket.on('framesent', sent)))
  return reports
}

const waitForEndpoints = (memberId: number, endpoints: readonly string[]) =>
  waitFor(async () => (await stored.endpoints(memberId)).join() === endpoints.join(), {
    deadlineMs,
    what: `${endpoints.length} subscriptions of member ${memberId}`,
  })
/** The frame of a report may be recorded after the server has handled it. */
const waitForReported = (reports: readonly (readonly number[])[], notificationId: number) =>
  waitFor(() => Promise.resolve(reports.flat().includes(notificationId)), { deadlineMs, what: `a report of ${notificationId}` })
const waitForReceived = (memberId: number, ids: readonly number[]) =>
  waitFor(async () => (await stored.received(memberId)).join() === ids.join(), { deadlineMs, what: `${ids.length} received` })
const endpointsOf = (subscriptions: readonly PushServiceSubscription[]) => subscriptions.map(({ body }) => body.endpoint)
const shown = (locator: Locator) => locator.waitFor({ timeout: deadlineMs })
const pushSwitch = (page: Page) => page.getByRole('switch', { name: 'Notify me when no tab is open' })

/** Returns what notify-api pushes for a notification. */
function payloadOf(notificationId: number, memberId: number, { title = 'Paid', redirectPath = '/order' } = {}): object {
  const navigate = `${stack.origin}${redirectPath}`
  const data = { notificationId, memberId, redirectPath }
  return {
    web_push: 8030,
    notification: { title, body: 'Order 7', lang: 'ko', dir: 'auto', navigate, tag: String(notificationId), data },
  }
}

test('shows a push with tag, language, direction and icon, and one with the same tag in its place', async () => {
  const { page, push } = await openPushDevice(1)
  // Otherwise it closes what is not stored.
  await page.evaluate(() => window.tidings.stop())
  await push.deliver(payloadOf(1, 1))
  await push.waitForShown(['1'])
  const fields = { body: 'Order 7', tag: '1', lang: 'ko', dir: 'auto', icon: '/icon.png' }
  const data = { notificationId: 1, memberId: 1, redirectPath: '/order', navigate: `${stack.origin}/order` }
  expect(await push.shown()).toEqual([{ title: 'Paid', ...fields, data }])
  await push.deliver(payloadOf(1, 1, { title: 'Paid again' }))
  await push.deliver(payloadOf(2, 1))
  await push.waitForShown(['1', '2'])
  expect((await push.shown()).map(({ title }) => title).toSorted()).toEqual(['Paid', 'Paid again'])
})

test('opens what is clicked in the page that is open, and in a window when none runs the client', async () => {
  const { device, page, push } = await openPushDevice(2)
  const ids = [await stack.send(2, 'first'), await stack.send(2, 'second')]
  const [first, second] = ids.map(String)
  await waitForNotifications(page, ['first', 'second'])
  for (const id of ids) await push.deliver(payloadOf(id, 2, { redirectPath: `/order-${id}` }))
  await push.waitForShown(ids.map(String))
  expect(await push.click(first ?? '')).toEqual({ focused: [`${stack.origin}/`], opened: [] })
  await page.waitForURL(`${stack.origin}/order-${first}`)
  await push.waitForShown([second ?? ''])
  await page.evaluate(() => window.tidings.stop())
  expect(await push.click(second ?? '')).toEqual({ focused: [], opened: [`${stack.origin}/order-${second}`] })
  expect(device.context.pages()).toHaveLength(1)
})

test('closes what is shown when it is read, archived, deleted or recalled elsewhere, and leaves the rest', async () => {
  const { page, push } = await openPushDevice(3)
  const other = await (await stack.openDevice(3)).openTab()
  const ids: number[] = []
  for (const name of ['read', 'archived', 'deleted', 'unread']) ids.push(await stack.send(3, name))
  await waitForNotifications(page, ['read', 'archived', 'deleted', 'unread'])
  await waitForUnread(other, 4)
  for (const id of ids) await push.deliver(payloadOf(id, 3))
  await push.waitForShown(ids.map(String))
  const [read = 0, archived = 0, deleted = 0, unread = 0] = ids
  await other.evaluate((id) => window.tidings.inbox.markRead(id), read)
  await other.evaluate((id) => window.tidings.inbox.archive(id), archived)
  await other.evaluate((id) => window.tidings.inbox.remove(id), deleted)
  await push.waitForShown([String(unread)])
  // Delivered late by the push service: the page knows that it was read.
  await push.deliver(payloadOf(read, 3))
  await push.waitForShown([String(unread)])
})

test('closes what was read while no tab was open when a tab comes back, also of another member and beyond the first page', async () => {
  const { device, page, push } = await openPushDevice(4)
  const { context } = device
  const blank = await context.newPage()
  await page.evaluate(() => window.tidings.stop())
  const ids: number[] = []
  for (let number = 1; number <= 25; number += 1) ids.push(await stack.send(4, `message-${number}`))
  const [old = 0, oldRead = 0] = ids
  const [newest = 0, newestRead = 0] = ids.toReversed()
  for (const id of [old, oldRead, newest, newestRead]) await push.deliver(payloadOf(id, 4))
  await push.deliver(payloadOf(newest + 1, 404))
  await push.waitForShown([old, oldRead, newest, newestRead, newest + 1].map(String))
  const other = await (await stack.openDevice(4)).openTab()
  await waitForUnread(other, 25)
  for (const id of [oldRead, newestRead]) await other.evaluate((read) => window.tidings.inbox.markRead(read), id)
  await blank.bringToFront()
  await page.evaluate(() => window.tidings.start())
  await push.waitForShown([old, newest].map(String))
})

test('turns on and off with the switch of the bell, and pushes while no tab is open', async () => {
  const { page, push, subscriptions } = await openPushDevice(5)
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await page.getByRole('button', { name: /^Inbox/ }).click()
  await shown(pushSwitch(page).and(page.locator('[aria-checked=false]')))
  await page.route('**/push/subscription', (route) => route.fulfill({ status: 503, json: { title: 'busy' } }))
  await pushSwitch(page).click()
  await shown(page.getByText('That did not work. Try again.'))
  expect(await page.evaluate(() => window.errors.map(({ code }) => code))).toEqual(['unavailable'])
  await expectNoViolations(page, { forcedColors: true })

  await page.unroute('**/push/subscription')
  await pushSwitch(page).click()
  await shown(pushSwitch(page).and(page.locator('[aria-checked=true]')))
  await expectNoViolations(page, { forcedColors: true })
  const [refused, subscription] = subscriptions
  await waitForEndpoints(5, endpointsOf(subscription ? [subscription] : []))
  expect([subscriptions.length, refused?.messages]).toEqual([2, []])

  await page.evaluate(() => window.tidings.stop())
  await stack.waitForSessionCount(5, 0)
  const id = await sendToPush(5, 'pushed')
  await waitFor(() => Promise.resolve(subscription?.messages.length === 1), { deadlineMs, what: 'a push' })
  await push.deliver(subscription?.messages[0]?.payload ?? {})
  await push.waitForShown([String(id)])
  expect(await push.shown()).toMatchObject([
    { title: 'pushed', lang: 'en', data: { memberId: 5, navigate: `${stack.origin}/pushed` } },
  ])

  await page.evaluate(() => window.tidings.start())
  await pushSwitch(page).click()
  await shown(pushSwitch(page).and(page.locator('[aria-checked=false]')))
  await waitForEndpoints(5, [])
})

test('says in the bell that the browser blocks notifications, and shows no switch where the server has no keys', async () => {
  const page = await (await stack.openDevice(6)).openTab()
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await page.evaluate(() => Object.defineProperty(Notification, 'permission', { value: 'denied' }))
  await page.getByRole('button', { name: /^Inbox/ }).click()
  await shown(page.getByText(/^Your browser blocks notifications/))
  await expectNoViolations(page, { forcedColors: true })

  const device = await stack.openDevice(6)
  await device.context.grantPermissions(['notifications'], { origin: stack.origin })
  await device.context.route('**/push/key', (route) => route.fulfill({ status: 404, json: { title: 'Not Found' } }))
  const unconfigured = await device.openTab()
  await unconfigured.getByRole('button', { name: /^Inbox/ }).click()
  await waitFor(() => unconfigured.evaluate(() => window.tidings.push.getSnapshot().state === 'unconfigured'), {
    deadlineMs,
    what: 'the state unconfigured',
  })
  expect(await pushSwitch(unconfigured).isVisible()).toBe(false)
  expect(await unconfigured.evaluate(() => window.errors)).toEqual([])
})

test('ends with the sign-out, and when another member uses the browser', async () => {
  const first = await openPushDevice(7)
  const phone = await openPushDevice(7)
  for (const each of [first, phone]) expect(await each.page.evaluate(() => window.tidings.enablePush())).toBe(true)
  await waitForEndpoints(7, [...endpointsOf(first.subscriptions), ...endpointsOf(phone.subscriptions)])
  expect(await first.page.evaluate(() => window.tidings.signOut())).toBe(true)
  await waitForEndpoints(7, endpointsOf(phone.subscriptions))

  const { device, page, push, subscriptions } = await openPushDevice(8)
  expect(await page.evaluate(() => window.tidings.enablePush())).toBe(true)
  await waitForEndpoints(8, endpointsOf(subscriptions))
  await page.evaluate(() => window.tidings.stop())
  const id = await stack.send(8, 'for the first')
  await push.deliver(payloadOf(id, 8))
  await push.waitForShown([String(id)])
  await device.signIn(9)
  await page.reload()
  await waitForStatus(page, 'connected')
  await push.waitForShown([])
  await waitFor(() => page.evaluate(() => localStorage.getItem('tidings push') === null), { deadlineMs, what: 'the end of push' })
  // The push service refuses it, and notify-api forgets the subscription.
  await sendToPush(8, 'not for the second')
  await waitForEndpoints(8, [])
  expect(await stored.endpoints(9)).toEqual([])
})

test('stores the subscription again when the page starts after a while, and when the browser has replaced it', async () => {
  const { page, push, subscriptions } = await openPushDevice(10)
  const puts: string[] = []
  page.on('request', (request) => request.method() === 'PUT' && puts.push(request.url()))
  await page.evaluate(() => window.tidings.enablePush())
  await page.reload()
  await waitForUnread(page, 0)
  await page.evaluate(() => {
    const kept = JSON.parse(localStorage.getItem('tidings push') ?? '{}') as object
    localStorage.setItem('tidings push', JSON.stringify({ ...kept, putAt: 0 }))
  })
  expect(puts).toHaveLength(1)
  await page.reload()
  await waitFor(() => Promise.resolve(puts.length === 2), { deadlineMs, what: 'the second PUT' })
  await waitForEndpoints(10, endpointsOf(subscriptions))

  const { body } = service.subscribe()
  await push.renew(endpointsOf(subscriptions)[0] ?? '', body)
  await waitForEndpoints(10, [body.endpoint])
})

test('shows notifications through the service worker where a page may not, as on Android', async () => {
  const device = await stack.openDevice(11)
  await device.context.addInitScript(() => {
    // No constructor.
    Object.assign(window, { Notification: { permission: 'granted' } })
    document.hasFocus = () => false
  })
  await device.context.grantPermissions(['notifications'], { origin: stack.origin })
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  const id = await stack.send(11, 'android')
  const push = await openPushWorker(device.context, page)
  await push.waitForShown([String(id)])
  expect(await push.shown()).toMatchObject([{ title: 'Orders', body: 'android', data: { notificationId: id, memberId: 11 } }])
  expect((await push.click(String(id))).focused).toEqual([`${stack.origin}/`])
  await page.waitForURL(`${stack.origin}/android`)
})

test('reports what has arrived once for all tabs, and nothing of it is pushed', async () => {
  const device = await stack.openDevice(12)
  const subscriptions = await replacePushManager(device.context, service)
  const reports = recordReports(device)
  const pages = [await device.openTab(), await device.openTab()]
  for (const page of pages) await waitForUnread(page, 0)
  await openPushWorker(device.context, await device.openTab())
  expect(await pages[0]?.evaluate(() => window.tidings.enablePush())).toBe(true)
  const ids: number[] = []
  for (let number = 0; number < 30; number += 1) ids.push(await sendToPush(12, `message-${number}`))
  await waitForReceived(12, ids)
  await waitFor(async () => (await stored.waiting()) === 0, { deadlineMs, what: 'the end of all escalations' })
  expect(subscriptions.flatMap(({ messages }) => messages)).toEqual([])
  for (const id of ids) await waitForReported(reports, id)
  expect(reports.flat().toSorted((a, b) => a - b)).toEqual(ids)
  // What a further tab reads of the inbox was reported.
  const count = reports.length
  const late = await device.openTab()
  await waitForUnread(late, 30)
  const last = await sendToPush(12, 'last')
  await waitForReceived(12, [...ids, last])
  await waitForReported(reports, last)
  expect(reports.slice(count)).toEqual([[last]])
})

test.runIf(longRun)('pushes nothing of 1,000 sends to ten members who have a tab open', { timeout: 180_000 }, async () => {
  const members = Array.from({ length: 10 }, (_, at) => ({
    memberId: 101 + at,
    subscription: service.subscribe(),
    ids: [] as number[],
  }))
  for (const { memberId, subscription } of members) {
    const page = await (await stack.openDevice(memberId)).openTab()
    await waitForStatus(page, 'connected')
    const authorization = `Bearer ${memberToken(memberId)}`
    const response = await fetch(`${stack.api.url}/push/subscription`, {
      method: 'PUT',
      headers: { authorization, origin: stack.origin, 'content-type': 'application/json' },
      body: JSON.stringify(subscription.body),
    })
    expect(response.status).toBe(204)
  }
  for (let number = 0; number < 100; number += 1) {
    for (const { memberId, ids } of members) ids.push(await sendToPush(memberId, `message-${number}`))
  }
  for (const { memberId, ids } of members) await waitForReceived(memberId, ids)
  await waitFor(async () => (await stored.waiting()) === 0, { deadlineMs, what: 'the end of all escalations' })
  expect(members.map(({ subscription }) => subscription.messages.length)).toEqual(members.map(() => 0))
})

test('repeats a report that a lost connection took, and not with the session of another member', async () => {
  const device = await stack.openDevice(13)
  // The report follows almost a second after the arrival.
  await device.context.addInitScript(() => {
    Math.random = () => 0.9
  })
  const reports = recordReports(device)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  const loseReport = async (memberId: number, message: string): Promise<number> => {
    const id = await stack.send(memberId, message)
    await waitForNotifications(page, [message])
    stack.proxy.blackhole()
    await waitFor(() => Promise.resolve(reports.length > 0), { deadlineMs, what: 'a report' })
    return id
  }
  const id = await loseReport(13, 'reported')
  expect(await stored.received(13)).toEqual([])
  stack.proxy.dropConnections()
  await waitForReceived(13, [id])
  await waitFor(() => Promise.resolve(reports.length === 2), { deadlineMs, what: 'the repeated report' })
  expect(reports).toEqual([[id], [id]])

  await page.reload()
  await waitForUnread(page, 1)
  await waitFor(() => Promise.resolve(reports.length === 3), { deadlineMs, what: 'the report of the page' })
  const unreported = await stack.send(13, 'unreported')
  await waitForNotifications(page, ['unreported'])
  stack.proxy.blackhole()
  await device.signIn(14)
  stack.proxy.dropConnections()
  await waitForUnread(page, 0)
  const own = await stack.send(14, 'own')
  await waitForReceived(14, [own])
  await waitForReported(reports, own)
  expect(reports.slice(3).filter((ids) => ids.includes(unreported)).length).toBeLessThan(2)
  expect(reports.at(-1)).toEqual([own])
})
