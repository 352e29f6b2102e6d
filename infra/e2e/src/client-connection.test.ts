import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientStack, openClientStack } from './client-stack.test.fixture.ts'

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_connection')
}, 120_000)
afterAll(() => stack?.close())

const deadlineMs = 20_000
const status = (page: Page) => page.evaluate(() => window.tidings.connection.getSnapshot().status)
const until = (page: Page, wanted: string) =>
  waitFor(async () => (await status(page)) === wanted, { deadlineMs, what: `status ${wanted}` })
const arrived = (page: Page) => page.evaluate(() => window.arrived.map(({ message }) => message))

test('a notification arrives', async () => {
  const device = await stack.device(1)
  const page = await device.tab()
  await until(page, 'connected')
  await stack.send(1, 'hello')
  await waitFor(async () => (await arrived(page)).length === 1, { deadlineMs, what: 'the notification' })
  expect(await page.evaluate(() => window.tidings.inbox.getSnapshot())).toMatchObject({
    status: 'ready',
    unreadCount: 1,
    hasMore: false,
    items: [{ message: 'hello', readAt: null, broadcast: false }],
  })
  await device.context.close()
})

/** The long form: `DROP_SECONDS=2 npx vitest run client-connection`. */
const dropMs = Number(process.env['DROP_SECONDS'] ?? 0.1) * 1_000

describe('nothing is lost', () => {
  test(
    '20 forced drops during 200 notifications: 200, once each, in order',
    async () => {
      const device = await stack.device(2)
      const page = await device.tab()
      await until(page, 'connected')
      const messages = Array.from({ length: 200 }, (_, at) => `message-${at}`)
      let sent = 0
      const sending = (async () => {
        for (const message of messages) {
          await stack.send(2, message)
          sent += 1
        }
      })()
      for (let drop = 0; drop < 20; drop += 1) {
        await waitFor(() => sent >= drop * 10, { deadlineMs, what: `${drop * 10} sent` })
        stack.wire.down()
        await new Promise((resolve) => setTimeout(resolve, dropMs))
        stack.wire.up()
        await until(page, 'connected')
      }
      await sending
      await waitFor(async () => (await arrived(page)).length >= 200, { deadlineMs, what: '200 notifications' }).catch(async (e) => { console.log(JSON.stringify(await page.evaluate(() => ({ a: window.arrived.map((x) => x.message), s: window.states, i: window.tidings.inbox.getSnapshot().items.length })))); throw e })
      expect(await arrived(page)).toEqual(messages)
      const inbox = await page.evaluate(() => window.tidings.inbox.getSnapshot())
      expect(inbox.items.map(({ message }) => message)).toEqual(messages.toReversed())
      await waitFor(async () => (await page.evaluate(() => window.tidings.inbox.getSnapshot().unreadCount)) === 200, {
        deadlineMs,
        what: 'a count of 200',
      })
      await device.context.close()
    },
    dropMs * 20 + 120_000,
  )
})
