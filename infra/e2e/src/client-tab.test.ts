import { waitFor } from '@tidings/local'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { arrived, connection, deadlineMs, given, inbox, status, unread } from './client-fact.test.fixture.ts'
import { type ClientStack, openClientStack } from './client-stack.test.fixture.ts'

declare global {
  interface Window {
    /** Lets go what the tab said to the others. */
    speak(): void
  }
}

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_tab')
}, 120_000)
afterAll(() => stack?.close())

let nextMember = 101

async function leaderOf(pages: readonly Page[]): Promise<Page> {
  return waitFor(
    async () => {
      const states = await Promise.all(pages.map(async (page) => ({ page, state: await connection(page) })))
      const leading = states.filter(({ state }) => state.leader && state.status === 'connected')
      return leading.length === 1 && leading[0]?.page
    },
    { deadlineMs, what: 'one leading tab' },
  )
}

test('ten tabs make one connection, and each has every notification once', async () => {
  const device = await stack.device(1)
  const pages: Page[] = []
  for (let tab = 0; tab < 10; tab += 1) pages.push(await device.tab())
  for (const page of pages) await status(page, 'connected')
  await leaderOf(pages)
  await stack.hasSessions(1, 1)
  for (const page of pages) await unread(page, 0)
  await stack.send(1, 'for all tabs')
  for (const page of pages) await given(page, ['for all tabs'])
})

test('closing the leading tab again and again, while notifications come, loses nothing', async () => {
  const device = await stack.device(2)
  const pages: Page[] = []
  for (let tab = 0; tab < 5; tab += 1) pages.push(await device.tab())
  for (const page of pages) await status(page, 'connected')
  const messages = Array.from({ length: 80 }, (_, at) => `message-${at}`)
  let open = [...pages]
  let sent = 0
  const sending = (async () => {
    for (const message of messages) {
      await stack.send(2, message)
      sent += 1
    }
  })()
  for (let closing = 1; closing <= 4; closing += 1) {
    await waitFor(() => sent >= closing * 15, { deadlineMs, what: 'some of them to be sent' })
    const leader = await leaderOf(open)
    open = open.filter((page) => page !== leader)
    await leader.close()
  }
  await sending
  const [last] = open
  if (!last) throw new Error('no tab is left')
  await given(last, messages)
  await unread(last, 80)
  // The last messages may have come through the leader that closed: the takeover is still on its way.
  await stack.hasSessions(2, 1)
})

test('what is read in one tab is read in the others and on other devices', async () => {
  const here = await stack.device(3)
  const there = await stack.device(3)
  const [one, two, elsewhere] = [await here.tab(), await here.tab(), await there.tab()]
  const pages = [one, two, elsewhere]
  for (const page of pages) await status(page, 'connected')
  const ids: number[] = []
  for (const message of ['a', 'b', 'c']) ids.push(await stack.send(3, message))
  // A count may be ahead of what it counts.
  for (const page of pages) await given(page, ['a', 'b', 'c'])
  for (const page of pages) await unread(page, 3)
  expect(await two.evaluate((id) => window.tidings.inbox.markRead(id ?? 0), ids[1])).toBe(true)
  for (const page of pages) {
    await unread(page, 2)
    expect((await inbox(page)).items.map(({ readAt }) => readAt !== null)).toEqual([false, true, false])
  }
  expect(await elsewhere.evaluate(() => window.tidings.inbox.markAllRead())).toBe(true)
  for (const page of pages) await unread(page, 0)
  for (const page of pages) expect((await inbox(page)).items.every(({ readAt }) => readAt !== null)).toBe(true)
})

test('sends and reads that cross from all sides leave every badge with the true count', async () => {
  const here = await stack.device(4)
  const there = await stack.device(4)
  const pages = [await here.tab(), await here.tab(), await there.tab()]
  for (const page of pages) await status(page, 'connected')
  const ids: number[] = []
  await Promise.all(
    Array.from({ length: 60 }, async (_, at) => {
      const id = await stack.send(4, `n${at}`)
      ids.push(id)
      if (at % 3 === 0) await pages[(at / 3) % pages.length]?.evaluate((each) => window.tidings.inbox.markRead(each), id)
    }),
  )
  for (const page of pages) await waitFor(async () => (await arrived(page)).length === 60, { deadlineMs, what: 'all of them' })
  for (const page of pages) await unread(page, 40)
})

describe('each tab has a connection of its own', () => {
  test.each([
    ['without sharing', () => {}, { shareConnection: false }],
    ['without Web Locks', () => Reflect.deleteProperty(Navigator.prototype, 'locks'), {}],
    ['without BroadcastChannel', () => Reflect.deleteProperty(window, 'BroadcastChannel'), {}],
  ] as const)('%s', async (_what, without, options) => {
    const memberId = nextMember++
    const device = await stack.device(memberId)
    await device.context.addInitScript(without)
    const pages = [await device.tab(options), await device.tab(options)]
    for (const page of pages) await status(page, 'connected')
    await stack.hasSessions(memberId, 2)
    for (const page of pages) expect((await connection(page)).leader).toBe(true)
    const id = await stack.send(memberId, 'hello')
    for (const page of pages) await given(page, ['hello'])
    for (const page of pages) await unread(page, 1)
    expect(await pages[0]?.evaluate((each) => window.tidings.inbox.markRead(each), id)).toBe(true)
    for (const page of pages) await unread(page, 0)
    // Each resumes by itself, and none gets what another one has read already.
    stack.wire.cut()
    await stack.send(memberId, 'again')
    for (const page of pages) await given(page, ['hello', 'again'])
    await pages[0]?.close()
    await stack.send(memberId, 'to the one that is left')
    for (const page of pages.slice(1)) await given(page, ['hello', 'again', 'to the one that is left'])
    await stack.hasSessions(memberId, 1)
  })
})

test('stop() hands the connection to another tab; start() comes back without a loss', async () => {
  const device = await stack.device(6)
  const [one, two] = [await device.tab(), await device.tab()]
  await status(one, 'connected')
  await status(two, 'connected')
  // What came while it was stopped is news to a tab only when it knows what was there before.
  await unread(one, 0)
  await one.evaluate(() => window.tidings.stop())
  expect(await connection(one)).toMatchObject({ status: 'stopped', leader: false })
  await waitFor(async () => (await connection(two)).leader, { deadlineMs, what: 'the other tab to lead' })
  await status(two, 'connected')
  await stack.send(6, 'while stopped')
  await given(two, ['while stopped'])
  await one.evaluate(() => window.tidings.start())
  await status(one, 'connected')
  await stack.send(6, 'back')
  await given(two, ['while stopped', 'back'])
  await given(one, ['while stopped', 'back'])
})

test('somebody else signs in: their inbox, and nothing of the one before', async () => {
  const device = await stack.device(7)
  const page = await device.tab()
  await status(page, 'connected')
  await stack.send(7, 'for seven')
  await given(page, ['for seven'])
  await stack.send(8, 'for eight')
  await device.signIn(8)
  // A page that knows nothing yet: what it reads is not for whom the connection is.
  const other = await device.tab()
  for (const each of [page, other]) {
    await waitFor(async () => (await inbox(each)).items.map(({ message }) => message).join() === 'for eight', {
      deadlineMs,
      what: 'the inbox of the other member',
    })
    await unread(each, 1)
  }
  await stack.hasSessions(7, 0)
})

test('somebody else has signed in when a tab reads its inbox, before it hears for whom the connection is', async () => {
  const device = await stack.device(9)
  const page = await device.tab()
  await status(page, 'connected')
  await stack.send(10, 'for ten')
  await device.signIn(10)
  await device.context.addInitScript(() => {
    const held: (() => void)[] = []
    let speaking = false
    Object.assign(window, {
      BroadcastChannel: class extends BroadcastChannel {
        // oxlint-disable unicorn/require-post-message-target-origin -- a channel has none
        override postMessage(message: unknown): void {
          if (speaking) super.postMessage(message)
          else held.push(() => super.postMessage(message))
        }
        // oxlint-enable unicorn/require-post-message-target-origin
      },
      speak() {
        speaking = true
        for (const post of held) post()
      },
    })
  })
  const other = await device.tab()
  await unread(other, 1)
  await other.evaluate(() => window.speak())
  for (const each of [page, other]) {
    await waitFor(async () => (await inbox(each)).items.map(({ message }) => message).join() === 'for ten', {
      deadlineMs,
      what: 'the inbox of the other member',
    })
  }
  await stack.hasSessions(9, 0)
})
