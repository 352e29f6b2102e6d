import { openLateNotification, waitFor } from '@tidings/local'
import { Redis } from 'ioredis'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  deadlineMs,
  readArrived,
  readConnection,
  readInbox,
  waitForNotifications,
  waitForStatus,
  waitForUnread,
} from './fixture/client-state.ts'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

declare global {
  interface Window {
    /** Sends the held messages of this tab to the other tabs, and holds no further ones. */
    releaseTabMessages(): void
  }
}

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_tab', { gatewayEnv: { PUBLIC_TOPICS: 'order.*' } })
}, 120_000)
afterAll(() => stack?.close())

let nextMember = 101

/** Resolves to the one tab that leads and is connected. */
async function waitForLeader(pages: readonly Page[]): Promise<Page> {
  return waitFor(
    async () => {
      const states = await Promise.all(pages.map(async (page) => ({ page, state: await readConnection(page) })))
      const leading = states.filter(({ state }) => state.leader && state.status === 'connected')
      return leading.length === 1 && leading[0]?.page
    },
    { deadlineMs, what: 'one leading tab' },
  )
}

test('shares one connection among ten tabs, and delivers every notification to each once', async () => {
  const device = await stack.openDevice(1)
  const pages: Page[] = []
  for (let tab = 0; tab < 10; tab += 1) pages.push(await device.openTab())
  for (const page of pages) await waitForStatus(page, 'connected')
  await waitForLeader(pages)
  await stack.waitForSessionCount(1, 1)
  for (const page of pages) await waitForUnread(page, 0)
  await stack.send(1, 'for all tabs')
  for (const page of pages) await waitForNotifications(page, ['for all tabs'])
})

test('loses nothing when the leading tab is closed repeatedly while notifications arrive', async () => {
  const device = await stack.openDevice(2)
  const pages: Page[] = []
  for (let tab = 0; tab < 5; tab += 1) pages.push(await device.openTab())
  for (const page of pages) await waitForStatus(page, 'connected')
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
    await waitFor(() => sent >= closing * 15, { deadlineMs, what: 'some notifications to be sent' })
    const leader = await waitForLeader(open)
    open = open.filter((page) => page !== leader)
    await leader.close()
  }
  await sending
  const [last] = open
  if (!last) throw new Error('no tab is left')
  await waitForNotifications(last, messages)
  await waitForUnread(last, 80)
  // The last notifications may have arrived through the closed leader, so the takeover may not be complete yet.
  await stack.waitForSessionCount(2, 1)
})

/** Opens a dialog, which stops the page until the returned function closes it. */
async function openDialog(page: Page): Promise<() => Promise<void>> {
  const opened = page.waitForEvent('dialog')
  const answered = page.evaluate(() => confirm('Delete this order?'))
  answered.catch(() => {}) // a test that fails closes the page
  const dialog = await opened
  return async () => {
    await dialog.accept()
    await answered
  }
}

test('replaces a leading tab that stands still behind a dialog, and follows in it after the dialog', async () => {
  const device = await stack.openDevice(31)
  const pages = await Promise.all(Array.from({ length: 10 }, () => device.openTab()))
  for (const page of pages) await waitForStatus(page, 'connected')
  for (const page of pages) await waitForUnread(page, 0)
  const leader = await waitForLeader(pages)
  const others = pages.filter((page) => page !== leader)
  const before = (await stack.readSessions(31)).map(({ sessionId }) => sessionId)
  for (const page of others) await page.evaluate(() => window.states.splice(0))
  const closeDialog = await openDialog(leader)
  await stack.send(31, 'behind the dialog')
  for (const page of others) await waitForNotifications(page, ['behind the dialog'])
  for (const page of others) await waitForStatus(page, 'connected')
  // None of them was connected all the time.
  for (const page of others) {
    const statuses = await page.evaluate(() => window.states.map(({ status }) => status))
    expect(statuses.slice(0, -1)).toContain('reconnecting')
  }
  const next = await waitForLeader(others)
  await closeDialog()
  await stack.send(31, 'after the dialog')
  for (const page of pages) await waitForNotifications(page, ['behind the dialog', 'after the dialog'])
  for (const page of pages) await waitForStatus(page, 'connected')
  expect((await readConnection(leader)).leader).toBe(false)
  await stack.waitForSessionCount(31, 1)
  expect((await stack.readSessions(31)).map(({ sessionId }) => sessionId)).not.toEqual(before)
  // The tab that was replaced waits for the lock again.
  for (const page of others) if (page !== next) await page.close()
  await next.close()
  await waitForLeader([leader])
  await stack.send(31, 'alone')
  await waitForNotifications(leader, ['behind the dialog', 'after the dialog', 'alone'])
})

test('applies a read mark of one tab to the other tabs and to other devices', async () => {
  const here = await stack.openDevice(3)
  const there = await stack.openDevice(3)
  const [one, two, elsewhere] = [await here.openTab(), await here.openTab(), await there.openTab()]
  const pages = [one, two, elsewhere]
  for (const page of pages) await waitForStatus(page, 'connected')
  const ids: number[] = []
  for (const message of ['a', 'b', 'c']) ids.push(await stack.send(3, message))
  // The count may include a notification before it arrives, so wait for the notifications first.
  for (const page of pages) await waitForNotifications(page, ['a', 'b', 'c'])
  for (const page of pages) await waitForUnread(page, 3)
  expect(await two.evaluate((id) => window.tidings.inbox.markRead(id ?? 0), ids[1])).toBe(true)
  for (const page of pages) {
    await waitForUnread(page, 2)
    expect((await readInbox(page)).items.map(({ readAt }) => readAt !== null)).toEqual([false, true, false])
  }
  expect(await elsewhere.evaluate(() => window.tidings.inbox.markAllRead())).toBe(true)
  for (const page of pages) await waitForUnread(page, 0)
  for (const page of pages) expect((await readInbox(page)).items.every(({ readAt }) => readAt !== null)).toBe(true)
})

test('ends with the correct unread count in every tab after concurrent sends and reads', async () => {
  const here = await stack.openDevice(4)
  const there = await stack.openDevice(4)
  const pages = [await here.openTab(), await here.openTab(), await there.openTab()]
  for (const page of pages) await waitForStatus(page, 'connected')
  const ids: number[] = []
  await Promise.all(
    Array.from({ length: 60 }, async (_, at) => {
      const id = await stack.send(4, `n${at}`)
      ids.push(id)
      if (at % 3 === 0) await pages[(at / 3) % pages.length]?.evaluate((each) => window.tidings.inbox.markRead(each), id)
    }),
  )
  for (const page of pages)
    await waitFor(async () => (await readArrived(page)).length === 60, { deadlineMs, what: 'all notifications' })
  for (const page of pages) await waitForUnread(page, 40)
})

describe('opens a connection for each tab', () => {
  test.each([
    ['with shareConnection: false', () => {}, { shareConnection: false }],
    ['without Web Locks', () => Reflect.deleteProperty(Navigator.prototype, 'locks'), {}],
    ['without BroadcastChannel', () => Reflect.deleteProperty(window, 'BroadcastChannel'), {}],
  ] as const)('%s', async (_condition, initScript, options) => {
    const memberId = nextMember++
    const device = await stack.openDevice(memberId)
    await device.context.addInitScript(initScript)
    const pages = [await device.openTab(options), await device.openTab(options)]
    for (const page of pages) await waitForStatus(page, 'connected')
    await stack.waitForSessionCount(memberId, 2)
    for (const page of pages) expect((await readConnection(page)).leader).toBe(true)
    const id = await stack.send(memberId, 'hello')
    for (const page of pages) await waitForNotifications(page, ['hello'])
    for (const page of pages) await waitForUnread(page, 1)
    expect(await pages[0]?.evaluate((each) => window.tidings.inbox.markRead(each), id)).toBe(true)
    for (const page of pages) await waitForUnread(page, 0)
    // Each tab resumes by itself, and none delivers the notification again that another tab has marked as read.
    stack.proxy.dropConnections()
    await stack.send(memberId, 'again')
    for (const page of pages) await waitForNotifications(page, ['hello', 'again'])
    await pages[0]?.close()
    await stack.send(memberId, 'to the remaining tab')
    for (const page of pages.slice(1)) await waitForNotifications(page, ['hello', 'again', 'to the remaining tab'])
    await stack.waitForSessionCount(memberId, 1)
  })
})

test('hands the connection to another tab at stop(), and misses nothing after start()', async () => {
  const device = await stack.openDevice(6)
  const [one, two] = [await device.openTab(), await device.openTab()]
  await waitForStatus(one, 'connected')
  await waitForStatus(two, 'connected')
  // The tab must have read its inbox before: only then can it tell later which notifications are new.
  await waitForUnread(one, 0)
  await one.evaluate(() => window.tidings.stop())
  expect(await readConnection(one)).toMatchObject({ status: 'stopped', leader: false })
  await waitFor(async () => (await readConnection(two)).leader, { deadlineMs, what: 'the other tab to lead' })
  await waitForStatus(two, 'connected')
  await stack.send(6, 'while stopped')
  await waitForNotifications(two, ['while stopped'])
  await one.evaluate(() => window.tidings.start())
  await waitForStatus(one, 'connected')
  await stack.send(6, 'back')
  await waitForNotifications(two, ['while stopped', 'back'])
  await waitForNotifications(one, ['while stopped', 'back'])
})

test('after stop() shows nothing until the member is known: the same one has the inbox again, another one sees nothing of it', async () => {
  const device = await stack.openDevice(61)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await page.evaluate(() => window.tidings.tasks.subscribe(() => {}))
  await stack.post('/task', { memberId: 61, kind: 'answer', title: 'private task' })
  await stack.send(61, 'private')
  await waitForNotifications(page, ['private'])
  await waitForUnread(page, 1)
  const visible = () =>
    page.evaluate(() => JSON.stringify([window.tidings.inbox.getSnapshot(), window.tidings.tasks.getSnapshot()]))
  await waitFor(async () => (await visible()).includes('private task'), { deadlineMs, what: 'the task' })
  await page.evaluate(() => window.tidings.stop())
  expect(await visible()).not.toContain('private')
  expect(await readInbox(page)).toMatchObject({ items: [], unreadCount: 0, status: 'idle', hasMore: false })

  await page.evaluate(() => window.tidings.start())
  await waitForUnread(page, 1)
  await waitFor(async () => (await visible()).includes('private task'), { deadlineMs, what: 'the task again' })
  await stack.send(61, 'private 2')
  await waitForNotifications(page, ['private', 'private 2'])

  await page.evaluate(() => window.tidings.stop())
  await device.signIn(62)
  // The gateway is away: only the inbox names the member.
  stack.proxy.takeDown()
  const seen = await page.evaluateHandle(() => {
    const states: unknown[] = []
    window.tidings.inbox.subscribe((state) => states.push(state))
    window.tidings.start()
    return states
  })
  await waitForUnread(page, 0)
  stack.proxy.bringUp()
  await waitForStatus(page, 'connected')
  expect(JSON.stringify(await seen.jsonValue()) + (await visible())).not.toContain('private')
})

test('shares no connection with tabs of another version', async () => {
  const device = await stack.openDevice(63)
  const old = await device.context.newPage()
  // A document of the origin that runs no script.
  await old.goto(`${stack.origin}/page.js`)
  // As the client without a version in its names: it leads, and replies to what others ask.
  await old.evaluate(async (origin) => {
    const name = `tidings  ${origin.replace('http', 'ws')}/ws`
    const channel = new BroadcastChannel(name)
    const post = channel.postMessage.bind(channel)
    const locked = new Promise<void>((resolve) => {
      void navigator.locks.request(name, () => {
        resolve()
        return new Promise(() => {})
      })
    })
    channel.addEventListener('message', () => {
      for (const message of [
        { type: 'leads', tab: 'old' },
        { type: 'state', tab: 'old', state: { status: 'connecting' }, memberId: undefined, places: [] },
      ])
        post(message)
    })
    await locked
  }, stack.origin)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  expect((await readConnection(page)).leader).toBe(true)
})

test('shows the inbox of the new member, and nothing of the previous one, after another member has signed in', async () => {
  const device = await stack.openDevice(7)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await stack.send(7, 'for seven')
  await waitForNotifications(page, ['for seven'])
  await stack.send(8, 'for eight')
  await device.signIn(8)
  // A new tab reads the inbox of the new member, while the shared connection still belongs to the previous one.
  const other = await device.openTab()
  for (const each of [page, other]) {
    await waitFor(async () => (await readInbox(each)).items.map(({ message }) => message).join() === 'for eight', {
      deadlineMs,
      what: 'the inbox of the other member',
    })
    await waitForUnread(each, 1)
  }
  await stack.waitForSessionCount(7, 0)
})

test('shows the inbox of the new member when a tab reads it before it knows to which member the connection belongs', async () => {
  const device = await stack.openDevice(9)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await stack.send(10, 'for ten')
  await device.signIn(10)
  await device.context.addInitScript(() => {
    const held: (() => void)[] = []
    let released = false
    Object.assign(window, {
      BroadcastChannel: class extends BroadcastChannel {
        // oxlint-disable unicorn/require-post-message-target-origin -- BroadcastChannel has no target origin
        override postMessage(message: unknown): void {
          if (released) super.postMessage(message)
          else held.push(() => super.postMessage(message))
        }
        // oxlint-enable unicorn/require-post-message-target-origin
      },
      releaseTabMessages() {
        released = true
        for (const post of held) post()
      },
    })
  })
  const other = await device.openTab()
  await waitForUnread(other, 1)
  await other.evaluate(() => window.releaseTabMessages())
  for (const each of [page, other]) {
    await waitFor(async () => (await readInbox(each)).items.map(({ message }) => message).join() === 'for ten', {
      deadlineMs,
      what: 'the inbox of the other member',
    })
  }
  await stack.waitForSessionCount(9, 0)
})

test('gives a second member without notifications nothing of the first one, whose connection the tab finds', async () => {
  const device = await stack.openDevice(11)
  const first = await device.openTab()
  await waitForStatus(first, 'connected')
  await waitForUnread(first, 0)
  // Holds the first reading of the next tab, while notifications of the previous member arrive.
  await device.signIn(12)
  const releases: (() => void)[] = []
  const held = new Promise<void>((resolve) => releases.push(resolve))
  await device.context.route('**/notification**', async (route) => {
    await held
    await route.continue()
  })
  const second = await device.openTab()
  await waitFor(async () => (await readConnection(second)).status === 'connected', { deadlineMs, what: 'the shared connection' })
  await stack.send(11, 'for eleven')
  await waitForNotifications(first, ['for eleven'])
  expect(await readArrived(second)).toEqual([])
  for (const release of releases) release()
  await stack.waitForSessionCount(11, 0)
  await stack.waitForSessionCount(12, 1)
  await stack.send(11, 'still for eleven')
  await stack.send(12, 'for twelve')
  await waitForNotifications(second, ['for twelve'])
  await waitForNotifications(first, ['for eleven', 'for twelve'])
  for (const each of [first, second]) {
    await waitForUnread(each, 1)
    expect((await readInbox(each)).items.map(({ message }) => message)).toEqual(['for twelve'])
  }
})

/** Listens to a destination in the page. The events are in `window.messages`. */
const listen = (page: Page, destination: string) =>
  page.evaluate((each) => {
    const listening = window.tidings.messages(each).subscribe((event) => window.messages.push(event))
    Object.assign(window, { unlisten: listening })
  }, destination)
const readMessages = (page: Page) => page.evaluate(() => window.messages)
const bodies = (...values: unknown[]) => values.map((body) => ({ type: 'message', body }))

async function waitForMessages(page: Page, expected: readonly unknown[]): Promise<void> {
  const wanted = JSON.stringify(expected)
  await waitFor(async () => JSON.stringify(await readMessages(page)) === wanted, { deadlineMs, what: wanted }).catch(async () =>
    expect(await readMessages(page)).toEqual(expected),
  )
}

async function waitForSubscriptions(memberId: number, destination: string, count: number): Promise<void> {
  const subscribed = async () => {
    const sessions = await stack.readSessions(memberId)
    const all = sessions.flatMap(({ subscriptions }) => subscriptions)
    return all.filter((each) => each.destination === destination).length === count
  }
  await waitFor(subscribed, { deadlineMs, what: `${count} subscriptions to ${destination}` })
}

const sendTo = (memberId: number, body: unknown) =>
  stack.post('/message', { destination: '/member/queue/cart', memberIds: [memberId], body })

describe('messages()', () => {
  test('reach each tab that listens, once and in order, while the leading tab and the connection are lost', async () => {
    const device = await stack.openDevice(21)
    const pages = [await device.openTab(), await device.openTab(), await device.openTab()]
    for (const page of pages) await waitForStatus(page, 'connected')
    const leader = await waitForLeader(pages)
    const [one, silent] = pages.filter((page) => page !== leader)
    if (!one || !silent) throw new Error('three tabs have one leader')
    await listen(one, '/member/queue/cart')
    await waitForSubscriptions(21, '/member/queue/cart', 1)
    await sendTo(21, { items: 1 })
    await waitForMessages(one, bodies({ items: 1 }))
    // A tab that joins later gets what comes from then on.
    await listen(leader, '/member/queue/cart')
    stack.proxy.dropConnections()
    await sendTo(21, null)
    for (const page of [leader, one]) await waitForMessages(page, bodies(...(page === one ? [{ items: 1 }] : []), null))
    await leader.close()
    await sendTo(21, 'after the leader')
    await sendTo(21, 'and another')
    await waitForMessages(one, bodies({ items: 1 }, null, 'after the leader', 'and another'))
    expect(await readMessages(silent)).toEqual([])
    await one.evaluate(() => (window as unknown as { unlisten(): void }).unlisten())
    await waitForSubscriptions(21, '/member/queue/cart', 0)
  })

  test('of a topic end an iteration at stop(), and are resumed for a listener after start()', async () => {
    const device = await stack.openDevice(22)
    const page = await device.openTab()
    await waitForStatus(page, 'connected')
    await listen(page, '/topic/order.17')
    await page.evaluate(() => {
      const iterated: unknown[] = []
      const iteration = (async () => {
        for await (const event of window.tidings.messages('/topic/order.17')) iterated.push(event)
        return iterated
      })()
      Object.assign(window, { iteration })
    })
    await waitForSubscriptions(22, '/topic/order.17', 1)
    const send = (body: unknown) => stack.post('/message', { destination: '/topic/order.17', body })
    await send(1)
    await waitForMessages(page, bodies(1))
    await page.evaluate(() => window.tidings.stop())
    expect(await page.evaluate(() => (window as unknown as { iteration: Promise<unknown> }).iteration)).toEqual(bodies(1))
    await send(2)
    await page.evaluate(() => window.tidings.start())
    await waitForMessages(page, bodies(1, 2))
  })

  test('of a destination that the gateway refuses end, and leave the connection to everything else', async () => {
    const redis = new Redis(stack.redis.url)
    const permit = (...channels: string[]) => redis.call('ACL', 'SETUSER', 'default', 'resetchannels', ...channels)
    await permit('&member:*', '&broadcast:all', '&broadcast:order.*', '&gateway:*')
    onTestFinished(async () => {
      await permit('&*')
      redis.disconnect()
    })
    const device = await stack.openDevice(25)
    const pages = [await device.openTab(), await device.openTab()]
    for (const page of pages) await waitForStatus(page, 'connected')
    const leader = await waitForLeader(pages)
    for (const page of pages) await listen(page, '/member/queue/cart')
    for (const page of pages) await listen(page, '/topic/secret')
    for (const page of pages) await waitForMessages(page, [{ type: 'refused' }])
    await waitForStatus(leader, 'connected')
    await sendTo(25, 1)
    await stack.send(25, 'hello')
    for (const page of pages) await waitForMessages(page, [{ type: 'refused' }, ...bodies(1)])
    for (const page of pages) await waitForNotifications(page, ['hello'])
    await stack.waitForSessionCount(25, 1)
  })

  test('report a gap when Redis has lost them, and go on after it', async () => {
    const device = await stack.openDevice(23)
    const pages = [await device.openTab(), await device.openTab()]
    for (const page of pages) await waitForStatus(page, 'connected')
    for (const page of pages) await listen(page, '/member/queue/cart')
    await waitForSubscriptions(23, '/member/queue/cart', 1)
    await sendTo(23, 1)
    for (const page of pages) await waitForMessages(page, bodies(1))
    await stack.redis.restart()
    const gap = { type: 'gap', spreadMs: 5_000 }
    for (const page of pages) await waitForMessages(page, [...bodies(1), gap])
    // notify-api may be connected again later than the gateways. Until then nothing is published.
    await waitFor(() => sendTo(23, 2).catch(() => undefined), { deadlineMs, what: 'a message to be accepted' })
    for (const page of pages) await waitForMessages(page, [...bodies(1), gap, ...bodies(2)])
  })

  test('refuse a destination of the system', async () => {
    const device = await stack.openDevice(24)
    const page = await device.openTab()
    for (const destination of ['/member/queue/read', '/topic/all', '/queue/cart']) {
      await expect(page.evaluate((each) => void window.tidings.messages(each), destination)).rejects.toThrow(/must be/)
    }
  })
})

// Last: its broadcast is in every inbox.
test('a notification with a smaller id that is stored after a read-all is unread on all devices', async () => {
  const pages = [await (await stack.openDevice(19)).openTab(), await (await stack.openDevice(19)).openTab()]
  const [here, there] = pages as [Page, Page]
  for (const page of pages) await waitForStatus(page, 'connected')
  const [late, lateForAll] = [
    await openLateNotification(stack.databaseUrl, 19, 'late'),
    await openLateNotification(stack.databaseUrl, 0, 'late for all'),
  ]
  await stack.send(19, 'shown')
  for (const page of pages) await waitForNotifications(page, ['shown'])
  expect(await here.evaluate(() => window.tidings.inbox.markAllRead())).toBe(true)
  for (const page of pages) await waitForUnread(page, 0)
  await late.commit()
  await lateForAll.commit()
  for (const page of [here, there]) {
    await waitFor(async () => (await readArrived(page)).length === 3, { deadlineMs, what: 'the late notifications' })
    await waitForUnread(page, 2)
    await page.evaluate(() => window.tidings.inbox.reload())
    const { items, unreadCount } = await readInbox(page)
    expect(items.map(({ message, readAt }) => [message, readAt !== null])).toEqual([
      ['shown', true],
      ['late for all', false],
      ['late', false],
    ])
    expect(unreadCount).toBe(2)
  }
})
