import { waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { arrived, deadlineMs, given, inbox, status, unread } from './client-fact.test.fixture.ts'
import { type ClientStack, openClientStack } from './client-stack.test.fixture.ts'

/** The long form: `DROP_SECONDS=2 npm test -- client-connection`. */
const dropMs = Number(process.env['DROP_SECONDS'] ?? 0.1) * 1_000

let stack: ClientStack
beforeAll(async () => {
  stack = await openClientStack('client_connection')
}, 120_000)
afterAll(() => stack?.close())

test('a notification arrives', async () => {
  const device = await stack.device(1)
  const page = await device.tab()
  await status(page, 'connected')
  await stack.send(1, 'hello')
  await given(page, ['hello'])
  await unread(page, 1)
  expect((await inbox(page)).items).toMatchObject([
    { message: 'hello', readAt: null, broadcast: false, memberId: 1, redirectPath: '/hello' },
  ])
})

test(
  '20 forced drops during 200 notifications: 200, once each, in order',
  async () => {
    const device = await stack.device(2)
    const page = await device.tab()
    await status(page, 'connected')
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
      await waitFor(() => sent >= drop * 10 + 3, { deadlineMs, what: 'some of them to be sent' })
      stack.wire.down()
      await new Promise((resolve) => setTimeout(resolve, dropMs))
      stack.wire.up()
      await sending
    }
    await given(page, messages)
    expect((await inbox(page)).items.map(({ message }) => message)).toEqual(messages.toReversed())
    await unread(page, 200)
  },
  dropMs * 20 + 120_000,
)

test('away for longer than the history reaches back: the inbox is read, and each is given once, in order', async () => {
  const device = await stack.device(3)
  const page = await device.tab({ pageSize: 50 })
  await status(page, 'connected')
  await stack.send(3, 'before')
  await given(page, ['before'])
  stack.wire.down()
  const messages = Array.from({ length: 130 }, (_, at) => `away-${at}`)
  for (const message of messages) await stack.send(3, message)
  stack.wire.up()
  await status(page, 'connected')
  await stack.send(3, 'after')
  await given(page, ['before', ...messages, 'after'])
  await unread(page, 132)
})

test('away for as long with an empty inbox: each is given as well', async () => {
  const device = await stack.device(9)
  const page = await device.tab({ pageSize: 50 })
  await status(page, 'connected')
  await unread(page, 0)
  stack.wire.down()
  const messages = Array.from({ length: 130 }, (_, at) => `away-${at}`)
  for (const message of messages) await stack.send(9, message)
  stack.wire.up()
  await given(page, messages)
  await unread(page, 130)
})

test('what the first page of the inbox brings while the connection is down is given as well', async () => {
  const device = await stack.device(8)
  let release: (() => void) | undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  await device.context.route('**/notification?**', async (route) => {
    await held
    await route.continue()
  })
  const page = await device.tab()
  await status(page, 'connected')
  await stack.send(8, 'live')
  await given(page, ['live'])
  stack.wire.down()
  // Away for longer than the history reaches back: it will not come live.
  const messages = Array.from({ length: 101 }, (_, at) => `away-${at}`)
  for (const message of messages.slice(0, 2)) await stack.send(8, message)
  release?.()
  await unread(page, 3)
  for (const message of messages.slice(2)) await stack.send(8, message)
  stack.wire.up()
  await given(page, ['live', ...messages])
})

test('Redis loses everything: the inbox is read, and nothing is given twice', async () => {
  const device = await stack.device(4)
  const page = await device.tab()
  await status(page, 'connected')
  await stack.send(4, 'one')
  await given(page, ['one'])
  await stack.redis.restart()
  await waitFor(
    async () => (await stack.post('/notification/send', { memberId: 4, message: 'two', redirectPath: '/' }))['online'],
    {
      deadlineMs,
      what: 'a gateway to listen again',
    },
  )
  await waitFor(async () => (await arrived(page)).includes('two'), { deadlineMs, what: 'the second' })
  expect((await arrived(page)).filter((message) => message === 'one')).toHaveLength(1)
})

test('a broadcast arrives, and is in every inbox', async () => {
  const devices = [await stack.device(6), await stack.device(7)]
  const pages = await Promise.all(devices.map((device) => device.tab()))
  for (const page of pages) await status(page, 'connected')
  await stack.broadcast('to all')
  for (const page of pages) {
    await given(page, ['to all'])
    await unread(page, 1)
    expect((await inbox(page)).items).toMatchObject([{ message: 'to all', broadcast: true, redirectPath: '/notice' }])
  }
})

test('a drained gateway: the session moves to the other one without a loss', async () => {
  const device = await stack.device(5)
  const page = await device.tab()
  await status(page, 'connected')
  const [first, second] = stack.gateways
  const holds = await stack.sessions(5, first)
  const holder = holds === 1 ? first : second
  await holder?.stop()
  await stack.send(5, 'meanwhile')
  await given(page, ['meanwhile'])
  expect(await page.evaluate(() => window.states.map((state) => state.status))).not.toContain('offline')
  await holder?.again()
})
