import { waitFor } from '@tidings/local'
import type { ConnectionState, InboxState } from '@tidings/client'
import type { Page } from 'playwright-core'
import { vi } from 'vitest'

/** The machine may be busy with other tests. */
export const deadlineMs = 20_000
// So that a fact that does not come is told by its name: a test waits for several of them.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

export function connection(page: Page): Promise<ConnectionState> {
  return page.evaluate(() => window.tidings.connection.getSnapshot())
}

export function inbox(page: Page): Promise<InboxState> {
  return page.evaluate(() => window.tidings.inbox.getSnapshot())
}

/** The messages that the page was given, in their order. */
export function arrived(page: Page): Promise<string[]> {
  return page.evaluate(() => window.arrived.map(({ message }) => message))
}

/** Waits until the connection of a page has this status. */
export function status(page: Page, wanted: ConnectionState['status']): Promise<boolean> {
  return waitFor(async () => (await connection(page)).status === wanted, { deadlineMs, what: `status ${wanted}` })
}

/** Waits until the page was given these messages, no more and no fewer, in this order. */
export async function given(page: Page, messages: readonly string[]): Promise<void> {
  const wanted = JSON.stringify(messages)
  let got: readonly string[] = []
  const same = async () => JSON.stringify((got = await arrived(page))) === wanted
  await waitFor(same, { deadlineMs, what: `${messages.length} notifications` }).catch((error: unknown) => {
    const missing = messages.filter((message) => !got.includes(message))
    const more = got.filter((message, at) => !messages.includes(message) || got.indexOf(message) !== at)
    throw new Error(`missing: [${missing.join()}], too many: [${more.join()}], given: [${got.join()}]`, { cause: error })
  })
}

/** Waits until the page's inbox says so. */
export function unread(page: Page, count: number): Promise<boolean> {
  const ready = ({ status: now, unreadCount }: InboxState) => now === 'ready' && unreadCount === count
  return waitFor(async () => ready(await inbox(page)), { deadlineMs, what: `an unread count of ${count}` })
}

/** Waits until a page of a `window()` knows that it is seen, or not. */
export function visibility(page: Page, wanted: DocumentVisibilityState): Promise<boolean> {
  return waitFor(async () => (await page.evaluate(() => document.visibilityState)) === wanted, { deadlineMs, what: wanted })
}
