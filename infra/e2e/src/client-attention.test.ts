import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, given, status, unread } from './client-fact.test.fixture.ts'
import { type ClientStack, type Device, openClientStack } from './client-stack.test.fixture.ts'

interface Shown {
  readonly title: string
  readonly body?: string
  readonly tag?: string
}

declare global {
  interface Window {
    shown: Shown[]
    clickLast(): void
    asked: number
    badge: number | undefined
    /** Types of what the other tabs said to this one, in the order in which it heard them. */
    told: string[]
  }
}

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_attention')
}, 120_000)
afterAll(() => stack?.close())

/** How long other tabs have to say that they are being looked at: in a page, and on a machine that is busy with other tests. */
const patience = { lookingMs: 250, busyMs: 5_000 }

/** A device on which the browser's notifications are recorded, and which tab is looked at is the test's to say. */
async function watchedDevice(memberId: number): Promise<Device> {
  const device = await stack.device(memberId)
  await device.context.addInitScript(({ lookingMs, busyMs }) => {
    const setTimeout = window.setTimeout.bind(window)
    Object.assign(window, {
      setTimeout: (work: () => void, afterMs?: number) => setTimeout(work, afterMs === lookingMs ? busyMs : afterMs),
      BroadcastChannel: class extends BroadcastChannel {
        constructor(name: string) {
          super(name)
          this.addEventListener('message', ({ data }: MessageEvent<{ type: string }>) => window.told.push(data.type))
        }
      },
    })
    window.told = []
    window.shown = []
    window.asked = 0
    const made: EventTarget[] = []
    class RecordedNotification extends EventTarget {
      static readonly permission = 'granted'
      static async requestPermission(): Promise<string> {
        window.asked += 1
        return 'granted'
      }
      constructor(title: string, options: object) {
        super()
        window.shown.push({ title, ...options })
        made.push(this)
      }
      close(): void {}
    }
    Object.assign(window, { Notification: RecordedNotification, clickLast: () => made.at(-1)?.dispatchEvent(new Event('click')) })
    Object.assign(navigator, {
      setAppBadge: async (count: number) => {
        window.badge = count
      },
    })
    document.hasFocus = () => sessionStorage.getItem('focused') === 'yes'
  }, patience)
  return device
}

const shown = async (pages: readonly Page[]) => (await Promise.all(pages.map((page) => page.evaluate(() => window.shown)))).flat()

test('one notification of the browser for all tabs, none while one of them is looked at', async () => {
  const device = await watchedDevice(1)
  const pages = [await device.tab(), await device.tab(), await device.tab()]
  for (const page of pages) await status(page, 'connected')
  const id = await stack.send(1, 'unseen')
  await waitFor(async () => (await shown(pages)).length === 1, { deadlineMs, what: 'a notification' })
  expect(await shown(pages)).toEqual([{ title: 'Orders', body: 'unseen', tag: String(id) }])

  await pages[1]?.evaluate(() => sessionStorage.setItem('focused', 'yes'))
  await stack.send(1, 'seen')
  for (const page of pages) await given(page, ['unseen', 'seen'])
  // A tab is given it before it is asked, and the next may overtake its answer: what waits for an answer is shown or not together.
  const answered = async () => await pages[0]?.evaluate(() => window.told.includes('answer'))
  await waitFor(answered, { deadlineMs, what: 'the leading tab to hear that one is looked at' })
  await pages[1]?.evaluate(() => sessionStorage.removeItem('focused'))
  await stack.send(1, 'unseen again')
  await waitFor(async () => (await shown(pages)).length === 2, { deadlineMs, what: 'a second notification' })
  expect((await shown(pages)).map(({ body }) => body)).toEqual(['unseen', 'unseen again'])
})

test('a click leads to redirectPath, in a tab that is there', async () => {
  const device = await watchedDevice(2)
  const page = await device.tab()
  await status(page, 'connected')
  await stack.send(2, 'orders-77')
  await waitFor(async () => (await shown([page])).length === 1, { deadlineMs, what: 'a notification' })
  await page.evaluate(() => window.clickLast())
  await page.waitForURL(`${stack.origin}/orders-77`)
  expect(device.context.pages()).toHaveLength(1)
})

test('after a long absence only the newest are shown', async () => {
  const device = await watchedDevice(3)
  const page = await device.tab()
  await status(page, 'connected')
  await stack.send(3, 'before')
  await waitFor(async () => (await shown([page])).length === 1, { deadlineMs, what: 'a notification' })
  stack.wire.down()
  for (let at = 0; at < 10; at += 1) await stack.send(3, `away-${at}`)
  stack.wire.up()
  await waitFor(async () => (await page.evaluate(() => window.arrived.length)) === 11, { deadlineMs, what: 'all of them' })
  await waitFor(async () => (await shown([page])).length > 1, { deadlineMs, what: 'notifications' })
  expect((await shown([page])).map(({ body }) => body)).toEqual(['before', 'away-7', 'away-8', 'away-9'])
})

test('permission is asked for only from a click', async () => {
  const device = await watchedDevice(4)
  await device.context.addInitScript(() => {
    addEventListener('load', () => void window.tidings.requestPermission())
  })
  const page = await device.tab()
  await status(page, 'connected')
  expect(await page.evaluate(() => window.asked)).toBe(0)
  await page.evaluate(() =>
    document.querySelector('button')?.addEventListener('click', () => void window.tidings.requestPermission()),
  )
  await page.click('button')
  await waitFor(() => page.evaluate(() => window.asked === 1), { deadlineMs, what: 'the question' })
})

test('the count in the title and on the icon, when that is wanted', async () => {
  const device = await watchedDevice(5)
  const page = await device.tab({ updateTitle: true, updateBadge: true })
  const plain = await device.tab()
  for (const each of [page, plain]) await status(each, 'connected')
  await stack.send(5, 'one')
  await stack.send(5, 'two')
  // One that is in the count already when it arrives is counted twice for a moment.
  await given(page, ['one', 'two'])
  await unread(page, 2)
  expect(await page.title()).toBe('(2) Orders')
  expect(await plain.title()).toBe('Orders')
  expect(await page.evaluate(() => window.badge)).toBe(2)
  // The application changes its title.
  await page.evaluate(() => {
    document.title = 'Invoices'
  })
  await waitFor(async () => (await page.title()) === '(2) Invoices', { deadlineMs, what: 'the count before the new title' })
  await page.evaluate(() => window.tidings.inbox.markAllRead())
  await unread(page, 0)
  expect(await page.title()).toBe('Invoices')
  expect(await page.evaluate(() => window.badge)).toBe(0)
})
