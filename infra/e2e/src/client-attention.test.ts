import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, waitForNotifications, waitForStatus, waitForUnread } from './fixture/client-state.ts'
import { type ClientStack, type Device, startClientStack } from './fixture/client-stack.ts'

/** A browser notification that the page has shown. */
interface ShownNotification {
  readonly title: string
  readonly body?: string
  readonly tag?: string
}

declare global {
  interface Window {
    shown: ShownNotification[]
    /** Clicks the browser notification that was shown last. */
    clickLast(): void
    /** Number of calls of `Notification.requestPermission`. */
    permissionRequests: number
    badge: number | undefined
    /** Types of the messages from other tabs, in the order of their arrival. */
    tabMessages: string[]
  }
}

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_attention')
}, 120_000)
afterAll(() => stack?.close())

/**
 * How long the leading tab waits for another tab to reply that it is visible and focused: `clientMs` in the client, which
 * `openRecordingDevice` replaces by `testMs` for a machine that is busy with other tests.
 */
const replyTimeout = { clientMs: 250, testMs: 5_000 }

/** Opens a device that records browser notifications, and on which the session storage decides whether a tab has the focus. */
async function openRecordingDevice(memberId: number): Promise<Device> {
  const device = await stack.openDevice(memberId)
  await device.context.addInitScript(({ clientMs, testMs }) => {
    const setTimeout = window.setTimeout.bind(window)
    Object.assign(window, {
      setTimeout: (work: () => void, afterMs?: number) => setTimeout(work, afterMs === clientMs ? testMs : afterMs),
      BroadcastChannel: class extends BroadcastChannel {
        constructor(name: string) {
          super(name)
          this.addEventListener('message', ({ data }: MessageEvent<{ type: string }>) => window.tabMessages.push(data.type))
        }
      },
    })
    window.tabMessages = []
    window.shown = []
    window.permissionRequests = 0
    const made: EventTarget[] = []
    class RecordedNotification extends EventTarget {
      static readonly permission = 'granted'
      static async requestPermission(): Promise<string> {
        window.permissionRequests += 1
        return 'granted'
      }
      readonly tag: string | undefined
      constructor(title: string, options: { tag?: string }) {
        super()
        this.tag = options.tag
        window.shown.push({ title, ...options })
        made.push(this)
      }
      close(): void {
        window.shown = window.shown.filter(({ tag }) => tag !== this.tag)
      }
    }
    Object.assign(window, { Notification: RecordedNotification, clickLast: () => made.at(-1)?.dispatchEvent(new Event('click')) })
    Object.assign(navigator, {
      setAppBadge: async (count: number) => {
        window.badge = count
      },
    })
    document.hasFocus = () => sessionStorage.getItem('focused') === 'yes'
  }, replyTimeout)
  return device
}

const shown = async (pages: readonly Page[]) => (await Promise.all(pages.map((page) => page.evaluate(() => window.shown)))).flat()

test('shows one browser notification for all tabs, and none while one of the tabs has the focus', async () => {
  const device = await openRecordingDevice(1)
  const pages = [await device.openTab(), await device.openTab(), await device.openTab()]
  for (const page of pages) await waitForStatus(page, 'connected')
  const id = await stack.send(1, 'unseen')
  await waitFor(async () => (await shown(pages)).length === 1, { deadlineMs, what: 'a notification' })
  expect(await shown(pages)).toEqual([{ title: 'Orders', body: 'unseen', tag: String(id) }])

  await pages[1]?.evaluate(() => sessionStorage.setItem('focused', 'yes'))
  await stack.send(1, 'seen')
  for (const page of pages) await waitForNotifications(page, ['unseen', 'seen'])
  // Wait for the reply of the focused tab: notifications that wait for a reply are shown or dropped together, so the next one must not
  // join them.
  const replied = async () => await pages[0]?.evaluate(() => window.tabMessages.includes('answer'))
  await waitFor(replied, { deadlineMs, what: 'the reply of the focused tab to the leading tab' })
  await pages[1]?.evaluate(() => sessionStorage.removeItem('focused'))
  await stack.send(1, 'unseen again')
  await waitFor(async () => (await shown(pages)).length === 2, { deadlineMs, what: 'a second notification' })
  expect((await shown(pages)).map(({ body }) => body)).toEqual(['unseen', 'unseen again'])
  await pages[2]?.evaluate(() => window.tidings.signOut())
  expect(await shown(pages)).toEqual([])
})

test('opens redirectPath in the existing tab when a browser notification is clicked', async () => {
  const device = await openRecordingDevice(2)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await stack.send(2, 'orders-77')
  await waitFor(async () => (await shown([page])).length === 1, { deadlineMs, what: 'a notification' })
  await page.evaluate(() => window.clickLast())
  await page.waitForURL(`${stack.origin}/orders-77`)
  expect(device.context.pages()).toHaveLength(1)
})

test('shows only the three newest notifications after a long disconnection', async () => {
  const device = await openRecordingDevice(3)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await stack.send(3, 'before')
  await waitFor(async () => (await shown([page])).length === 1, { deadlineMs, what: 'a notification' })
  stack.proxy.takeDown()
  for (let at = 0; at < 10; at += 1) await stack.send(3, `away-${at}`)
  stack.proxy.bringUp()
  await waitFor(async () => (await page.evaluate(() => window.arrived.length)) === 11, { deadlineMs, what: 'all notifications' })
  await waitFor(async () => (await shown([page])).length > 1, { deadlineMs, what: 'browser notifications' })
  expect((await shown([page])).map(({ body }) => body)).toEqual(['before', 'away-7', 'away-8', 'away-9'])
})

test('requests the permission only from a click', async () => {
  const device = await openRecordingDevice(4)
  await device.context.addInitScript(() => {
    addEventListener('load', () => void window.tidings.requestPermission())
  })
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  expect(await page.evaluate(() => window.permissionRequests)).toBe(0)
  await page.evaluate(() =>
    document.querySelector('button')?.addEventListener('click', () => void window.tidings.requestPermission()),
  )
  await page.click('button')
  await waitFor(() => page.evaluate(() => window.permissionRequests === 1), { deadlineMs, what: 'the permission request' })
})

test('shows the unread count in the title and on the icon when the options ask for it', async () => {
  const device = await openRecordingDevice(5)
  const page = await device.openTab({ updateTitle: true, updateBadge: true })
  const plain = await device.openTab()
  for (const each of [page, plain]) await waitForStatus(each, 'connected')
  await stack.send(5, 'one')
  await stack.send(5, 'two')
  // Wait for both first: a notification that the count already includes is counted twice for a moment when it arrives.
  await waitForNotifications(page, ['one', 'two'])
  await waitForUnread(page, 2)
  expect(await page.title()).toBe('(2) Orders')
  expect(await plain.title()).toBe('Orders')
  expect(await page.evaluate(() => window.badge)).toBe(2)
  // The application itself changes the title.
  await page.evaluate(() => {
    document.title = 'Invoices'
  })
  await waitFor(async () => (await page.title()) === '(2) Invoices', { deadlineMs, what: 'the count before the new title' })
  await page.evaluate(() => window.tidings.inbox.markAllRead())
  await waitForUnread(page, 0)
  expect(await page.title()).toBe('Invoices')
  expect(await page.evaluate(() => window.badge)).toBe(0)
  await stack.send(5, 'three')
  await waitFor(() => page.evaluate(() => window.badge === 1), { deadlineMs, what: 'the count on the icon' })
  await page.evaluate(() => window.tidings.stop())
  expect(await page.title()).toBe('Invoices')
  expect(await page.evaluate(() => window.badge)).toBe(0)
})
