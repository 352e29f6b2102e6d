import { waitFor } from '@tidings/local'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { deadlineMs, readArrived, readInbox, waitForNotifications, waitForStatus, waitForUnread } from './fixture/client-state.ts'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

/** How long each drop lasts. The long form: `DROP_SECONDS=2 npm test -- client-connection`. */
const dropMs = Number(process.env['DROP_SECONDS'] ?? 0.1) * 1_000

let stack: ClientStack
beforeAll(async () => {
  stack = await startClientStack('client_connection')
}, 120_000)
afterAll(() => stack?.close())

test('delivers a notification', async () => {
  const device = await stack.openDevice(1)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await stack.send(1, 'hello')
  await waitForNotifications(page, ['hello'])
  await waitForUnread(page, 1)
  expect((await readInbox(page)).items).toMatchObject([
    { message: 'hello', readAt: null, broadcast: false, memberId: 1, redirectPath: '/hello' },
  ])
})

test('sends heart-beats with a timer, and reports it once, where the Content-Security-Policy does not permit its worker', async () => {
  const device = await stack.openDevice(9)
  await device.context.addInitScript(() => {
    // A policy in the document: Chromium refuses a connection to localhost from a page that the test serves itself.
    new MutationObserver((_changes, observer) => {
      if (!document.head) return
      observer.disconnect()
      const policy = document.createElement('meta')
      policy.httpEquiv = 'Content-Security-Policy'
      policy.content = "worker-src 'self'"
      document.head.append(policy)
    }).observe(document, { childList: true, subtree: true })
    // The interval of heart-beats is ten seconds. Shorter ones, with which tabs watch one another, stay.
    const setInterval = window.setInterval.bind(window)
    Object.assign(window, {
      setInterval: (work: () => void, everyMs: number) => setInterval(work, everyMs < 10_000 ? everyMs : 100),
    })
  })
  const warnings: string[] = []
  let heartBeats = 0
  device.context.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()))
  device.context.on('page', (page) =>
    page.on('websocket', (socket) =>
      socket.on('framesent', ({ payload }) => {
        if (payload === '\n') heartBeats += 1
      }),
    ),
  )
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await waitFor(() => heartBeats > 1, { deadlineMs, what: 'heart-beats' })
  stack.proxy.dropConnections()
  const before = heartBeats
  await waitFor(() => heartBeats > before + 1, { deadlineMs, what: 'heart-beats of the next connection' })
  expect(warnings).toEqual([expect.stringContaining('Add worker-src blob:')])
  expect(await page.evaluate(() => window.errors)).toEqual([{ code: 'worker-blocked', message: expect.any(String) }])
})

test(
  'delivers 200 notifications once each and in order during 20 dropped connections',
  async () => {
    const device = await stack.openDevice(2)
    const page = await device.openTab()
    await waitForStatus(page, 'connected')
    const messages = Array.from({ length: 200 }, (_, at) => `message-${at}`)
    let sent = 0
    const send = async (upTo: number) => {
      while (sent < upTo) {
        await stack.send(2, messages[sent] ?? '')
        sent += 1
      }
    }
    for (let drop = 0; drop < 20; drop += 1) {
      const sending = send((drop + 1) * 10)
      await waitFor(() => sent >= drop * 10 + 3, { deadlineMs, what: 'some notifications to be sent' })
      stack.proxy.takeDown()
      await new Promise((resolve) => setTimeout(resolve, dropMs))
      stack.proxy.bringUp()
      await sending
    }
    await waitForNotifications(page, messages)
    expect((await readInbox(page)).items.map(({ message }) => message)).toEqual(messages.toReversed())
    await waitForUnread(page, 200)
  },
  dropMs * 20 + 120_000,
)

test('delivers notifications from the inbox, once each and in order, when more were missed than the history holds', async () => {
  const device = await stack.openDevice(3)
  const page = await device.openTab({ pageSize: 50 })
  await waitForStatus(page, 'connected')
  await stack.send(3, 'before')
  await waitForNotifications(page, ['before'])
  stack.proxy.takeDown()
  const messages = Array.from({ length: 130 }, (_, at) => `away-${at}`)
  for (const message of messages) await stack.send(3, message)
  stack.proxy.bringUp()
  await waitForStatus(page, 'connected')
  await stack.send(3, 'after')
  await waitForNotifications(page, ['before', ...messages, 'after'])
  await waitForUnread(page, 132)
})

test('delivers notifications that the history no longer holds when the inbox was empty before', async () => {
  const device = await stack.openDevice(9)
  const page = await device.openTab({ pageSize: 50 })
  await waitForStatus(page, 'connected')
  await waitForUnread(page, 0)
  stack.proxy.takeDown()
  const messages = Array.from({ length: 130 }, (_, at) => `away-${at}`)
  for (const message of messages) await stack.send(9, message)
  stack.proxy.bringUp()
  await waitForNotifications(page, messages)
  await waitForUnread(page, 130)
})

test('delivers notifications that the first page of the inbox contains while the connection is down', async () => {
  const device = await stack.openDevice(8)
  let release: (() => void) | undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  await device.context.route('**/notification?**', async (route) => {
    await held
    await route.continue()
  })
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await stack.send(8, 'live')
  await waitForNotifications(page, ['live'])
  stack.proxy.takeDown()
  // More than the history holds, so that they do not arrive over the connection.
  const messages = Array.from({ length: 101 }, (_, at) => `away-${at}`)
  for (const message of messages.slice(0, 2)) await stack.send(8, message)
  release?.()
  await waitForUnread(page, 3)
  for (const message of messages.slice(2)) await stack.send(8, message)
  stack.proxy.bringUp()
  await waitForNotifications(page, ['live', ...messages])
})

test('repeats nothing after Redis has lost its data, and reads the inbox', async () => {
  const device = await stack.openDevice(4)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  await stack.send(4, 'one')
  await waitForNotifications(page, ['one'])
  await stack.redis.restart()
  await waitFor(
    async () => (await stack.post('/notification/send', { memberId: 4, message: 'two', redirectPath: '/' }))['online'],
    {
      deadlineMs,
      what: 'a gateway to subscribe to the channel again',
    },
  )
  await waitFor(async () => (await readArrived(page)).includes('two'), { deadlineMs, what: 'the second notification' })
  expect((await readArrived(page)).filter((message) => message === 'one')).toHaveLength(1)
})

test('ignores what another program publishes without the fields of a notification, and reports it once', async () => {
  const device = await stack.openDevice(10)
  const warnings: string[] = []
  device.context.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()))
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  const redis = new Redis(stack.redis.url)
  for (const body of ['"hi"', 'null', 'hello', '{"message":"legacy without id","redirectPath":"/"}']) {
    for (const channel of ['notification', 'read', 'task']) await redis.publish(`member:10:${channel}`, body)
  }
  redis.disconnect()
  await stack.send(10, 'real')
  await waitForNotifications(page, ['real'])
  await waitForUnread(page, 1)
  expect((await readInbox(page)).items).toMatchObject([{ message: 'real' }])
  expect(warnings).toEqual([expect.stringContaining('another program has published')])
  expect(await page.evaluate(() => window.errors)).toEqual([{ code: 'foreign-message', message: expect.any(String) }])
})

test('delivers a broadcast to all members, and adds it to their inboxes', async () => {
  const devices = [await stack.openDevice(6), await stack.openDevice(7)]
  const pages = await Promise.all(devices.map((device) => device.openTab()))
  for (const page of pages) await waitForStatus(page, 'connected')
  await stack.broadcast('to all')
  for (const page of pages) {
    await waitForNotifications(page, ['to all'])
    await waitForUnread(page, 1)
    expect((await readInbox(page)).items).toMatchObject([{ message: 'to all', broadcast: true, redirectPath: '/notice' }])
  }
})

test('moves the session to the other gateway without a loss when its gateway drains', async () => {
  const device = await stack.openDevice(5)
  const page = await device.openTab()
  await waitForStatus(page, 'connected')
  const [first, second] = stack.gateways
  const sessionsOnFirst = await stack.countSessions(5, first)
  const holder = sessionsOnFirst === 1 ? first : second
  await holder?.stop()
  await stack.send(5, 'meanwhile')
  await waitForNotifications(page, ['meanwhile'])
  expect(await page.evaluate(() => window.states.map((state) => state.status))).not.toContain('offline')
  await holder?.again()
})
