import { memberToken, openStoredInbox, serviceToken, type StoredInbox, type StoredItem, waitFor } from '@tidings/local'
import type { InboxItem, InboxPage } from '@tidings/protocol'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readInbox, waitForStatus } from './fixture/client-state.ts'
import { type ClientStack, startClientStack } from './fixture/client-stack.ts'

const long = process.env['TIDINGS_LONG'] === '1'
const rounds = long ? 10 : 2
/** Operations of one device in a round. */
const operations = long ? 380 : 50
const devices = 3
const member = 1
/** A device that does not know a removed broadcast reads the count within half a minute. */
const settleMs = 60_000
const seed = Number(process.env['TIDINGS_SEED'] ?? Date.now() % 1_000_000)

let stack: ClientStack
let database: StoredInbox
beforeAll(async () => {
  stack = await startClientStack('client_inbox_property', { apiEnv: { MEMBER_REQUESTS_PER_MINUTE: '1000000' } })
  database = await openStoredInbox(stack.databaseUrl, member)
}, 120_000)
afterAll(async () => {
  await database?.close()
  await stack?.close()
})

/** Returns numbers from 0 to 1, the same for the same seed. */
function randomOf(from: number): () => number {
  let state = from
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

/** Has a device change its inbox, one operation after the other. */
function change(page: Page, round: number, device: number): Promise<void> {
  return page.evaluate(
    async (numbers) => {
      const next = () => numbers.pop() ?? 0
      const { inbox } = window.tidings
      const archived = inbox.view({ archived: true })
      const anyId = (items: readonly { notificationId: number }[]) =>
        items[Math.floor(next() * items.length)]?.notificationId ?? 0
      while (numbers.length > 1) {
        const { items } = inbox.getSnapshot()
        const id = anyId(items)
        const choice = next()
        if (choice < 0.3) await inbox.markRead(id)
        else if (choice < 0.5) await inbox.markUnread(id)
        else if (choice < 0.62) await inbox.archive(id)
        else if (choice < 0.74) await inbox.unarchive(anyId(archived.getSnapshot().items))
        else if (choice < 0.8) await inbox.remove(id)
        else if (choice < 0.86) await inbox.markSeen(id)
        else if (choice < 0.89) await inbox.markAllRead(id, 'chat')
        else if (choice < 0.9) await inbox.markAllRead(id)
        else if (choice < 0.95) await inbox.loadMore()
        else await inbox.reload()
      }
    },
    // Two for each operation: what it does, and to which notification.
    Array.from({ length: 2 * operations }, randomOf(seed + round * devices + device)),
  )
}

/** Sends and recalls while the devices change the inbox, and breaks their connections. */
async function sendMeanwhile(round: number, isOver: () => boolean): Promise<void> {
  const next = randomOf(seed + 1_000_000 + round)
  const sent: number[] = []
  for (let count = 0; !isOver(); count += 1) {
    const message = `${round}-${count}`
    const choice = next()
    if (choice < 0.4) sent.push(await stack.send(member, message))
    else if (choice < 0.6)
      await stack.post('/notification/send', { memberId: member, message, kind: 'chat', collapseKey: `k${count % 3}` })
    else if (choice < 0.7) sent.push(await stack.broadcast(message))
    else if (choice < 0.8) {
      const expiresAt = new Date(Date.now() + next() * 2_000).toISOString()
      await stack
        .post(`/notification/${next() < 0.5 ? 'broadcast' : 'send'}`, { message, expiresAt })
        .catch(() => stack.post('/notification/send', { memberId: member, message, expiresAt }))
    } else if (choice < 0.9) await recall(sent[Math.floor(next() * sent.length)] ?? 1)
    else if (choice < 0.95) stack.proxy.dropConnections()
    else await stack.post('/notification/send', { memberId: member, message, kind: 'chat' })
  }
}

async function recall(notificationId: number): Promise<void> {
  const headers = { authorization: `Bearer ${serviceToken()}` }
  const response = await fetch(`${stack.api.url}/notification/${notificationId}`, { method: 'DELETE', headers })
  expect(response.status).toBe(200)
}

function recount(rows: readonly StoredItem[]): { unreadCount: number; unseenCount: number } {
  const unread = rows.filter(({ isRead, archived }) => !isRead && !archived)
  return { unreadCount: unread.length, unseenCount: unread.filter(({ seen }) => !seen).length }
}

const shownStates = (items: readonly Pick<InboxItem, 'notificationId' | 'readAt' | 'seen'>[]) =>
  items.map(({ notificationId, readAt, seen }) => `${notificationId} ${readAt !== null} ${seen}`)
const storedStates = (rows: readonly StoredItem[]) =>
  rows.map(({ id, isRead, seen }) => `${id} ${isRead === 1} ${isRead === 1 || seen === 1}`)

/** What a device shows, and what it should show of the same length. */
async function compare(page: Page): Promise<[shown: unknown, expected: unknown]> {
  const rows = await database.read()
  const { items, unreadCount, unseenCount, hasMore } = await readInbox(page)
  const archived = await page.evaluate(() => window.tidings.inbox.view({ archived: true }).getSnapshot())
  const open = rows.filter((row) => !row.archived)
  const inArchive = rows.filter((row) => row.archived)
  return [
    { unreadCount, unseenCount, items: shownStates(items), archived: shownStates(archived.items) },
    {
      ...recount(rows),
      items: storedStates(open).slice(0, hasMore ? items.length : undefined),
      archived: storedStates(inArchive).slice(0, archived.hasMore ? archived.items.length : undefined),
    },
  ]
}

test(
  `after each round of random operations on three devices with lost connections, all show what is stored, seed ${seed}`,
  async () => {
    const pages: Page[] = []
    for (let device = 0; device < devices; device += 1) {
      const page = await (await stack.openDevice(member)).openTab()
      await waitForStatus(page, 'connected')
      await page.evaluate(() => void window.tidings.inbox.view({ archived: true }).subscribe(() => {}))
      pages.push(page)
    }
    for (let at = 0; at < 30; at += 1) await stack.send(member, `first ${at}`)
    for (let round = 0; round < rounds; round += 1) {
      let over = false
      const sending = sendMeanwhile(round, () => over)
      await Promise.all(pages.map((page, device) => change(page, round, device)))
      over = true
      await sending
      for (const page of pages) {
        let last: [unknown, unknown] = [undefined, undefined]
        const same = async () => {
          last = await compare(page)
          return JSON.stringify(last[0]) === JSON.stringify(last[1])
        }
        await waitFor(same, { deadlineMs: settleMs, what: 'the device to agree' }).catch(() => {
          expect(last[0], `round ${round}, seed ${seed}`).toEqual(last[1])
        })
      }
      const headers = { cookie: `access_token=${memberToken(member)}` }
      const response = await fetch(`${stack.api.url}/notification/unread-count`, { headers })
      const counts = (await response.json()) as Partial<InboxPage>
      expect(counts).toMatchObject(recount(await database.read()))
    }
  },
  long ? 1_800_000 : 180_000,
)
