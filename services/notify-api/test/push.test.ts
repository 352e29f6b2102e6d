import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  freePort,
  localOrigin,
  newVapidVariables,
  type PushService,
  type PushServiceResponse,
  type PushServiceSubscription,
  startPushService,
  waitFor,
} from '@tidings/local'
import type { MemberId } from '@tidings/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PushClient } from '../src/push/push-client.ts'
import { type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

const vapid = newVapidVariables()
const path = '/push/subscription'
const push = { escalate: { push: true } }

let stack: Stack
let pushService: PushService
let api: NotifyApi

beforeAll(async () => {
  stack = await openStack('push')
  pushService = await startPushService()
  api = await stack.start({ ...vapid, PUSH_PRIVATE_ADDRESSES: 'allow' })
})
afterAll(async () => {
  await stack.close()
  await pushService.close()
})

/** Subscribes a new browser of a member. */
async function browserOf(memberId: MemberId): Promise<PushServiceSubscription> {
  const browser = pushService.subscribe()
  expect((await api.member(memberId).put(path, browser.body)).status).toBe(204)
  return browser
}

/** Sends to a member with no connection, and resolves to the id. */
async function send(memberId: MemberId, more: Record<string, unknown> = {}): Promise<number> {
  const { status, body } = await api.send({ memberId, message: 'hello', ...push, ...more })
  expect(status).toBe(201)
  return body['notificationId'] as number
}

interface EscalationRow {
  readonly state: string
  readonly attempts: number
  readonly reason: string | null
  readonly dueInSeconds: number
}

/** Resolves to the escalation of a notification once `fact` holds; `undefined` when there is none. */
function escalation(id: number, fact: (row: EscalationRow | undefined) => boolean): Promise<EscalationRow | undefined> {
  return waitFor(
    async () => {
      const [row] = await stack.rows<EscalationRow>(
        `SELECT state, attempts, reason, TIMESTAMPDIFF(SECOND, NOW(3), due_at) AS dueInSeconds
         FROM escalation WHERE notification_id = ?`,
        [id],
      )
      return fact(row) && [row]
    },
    { what: `the escalation of ${id}`, deadlineMs: 20_000 },
  ).then(([row]) => row)
}

const sent = (row: EscalationRow | undefined) => row?.state === 'sent'
const dead = (row: EscalationRow | undefined) => row?.state === 'dead'
const failedOnce = (row: EscalationRow | undefined) => row?.state === 'waiting' && row.reason !== null
const count = ({ messages }: PushServiceSubscription) => messages.length

async function stored(memberId: number): Promise<number> {
  const rows = await stack.rows('SELECT 1 FROM push_subscription WHERE member_id = ?', [memberId])
  return rows.length
}

/** Makes a waiting escalation due at once. */
const hasten = (id: number) => stack.rows('UPDATE escalation SET due_at = NOW(3) WHERE notification_id = ?', [id])

test('each browser of a member decrypts the notification, and verifies that this server sent it', async () => {
  const browsers = [await browserOf('auth0|a'), await browserOf('auth0|a')]
  const id = await send('auth0|a', { message: '새 주문\n두 개', redirectPath: '/order/1', kind: 'order', data: { total: 2 } })
  await escalation(id, sent)
  for (const { messages } of browsers) {
    expect(messages).toHaveLength(1)
    expect(messages[0]).toMatchObject({
      payload: {
        web_push: 8030,
        notification: {
          title: '새 주문',
          body: '두 개',
          navigate: `${localOrigin}/order/1`,
          tag: String(id),
          data: { notificationId: id, memberId: 'auth0|a', redirectPath: '/order/1', kind: 'order', data: { total: 2 } },
        },
      },
      urgency: 'normal',
      topic: undefined,
      publicKey: vapid.VAPID_PUBLIC_KEY,
      claims: { aud: pushService.origin, sub: vapid.VAPID_SUBJECT },
    })
    const ttl = messages[0]?.ttlSeconds ?? 0
    expect([ttl <= 259_200, ttl > 259_000]).toEqual([true, true])
  }
})

test('expiresAt, urgency and collapseKey become TTL, Urgency and Topic; the last one counts what it stands for', async () => {
  const browser = await browserOf(2)
  const expiresAt = new Date(Date.now() + 600_000).toISOString()
  const more = { expiresAt, collapseKey: 'order-1', escalate: { push: true, urgency: 'high' } }
  await escalation(await send(2, more), sent)
  await escalation(await send(2, { ...more, message: 'again' }), sent)
  const [first, second] = browser.messages
  expect([first?.urgency, first?.topic]).toEqual(['high', second?.topic])
  expect(first?.topic).toMatch(/^[\w-]{32}$/)
  expect([(first?.ttlSeconds ?? 0) <= 600, (first?.ttlSeconds ?? 0) > 500]).toEqual([true, true])
  expect(second?.payload).toMatchObject({ notification: { title: 'again', tag: 'key:order-1', data: { count: 2 } } })
})

test('4,000 characters of emoji with large data fit into one message', async () => {
  const browser = await browserOf(3)
  const id = await send(3, { message: '👨‍👩‍👧‍👦'.repeat(363), data: { large: '가'.repeat(15_000) } })
  await escalation(id, sent)
  expect(browser.messages[0]?.plaintextBytes).toBeLessThanOrEqual(3_993)
})

test('a member without subscriptions needs no push', async () => {
  await escalation(await send(4), (row) => row === undefined)
})

test.each([404, 410])('%i removes this subscription and no other', async (status) => {
  const memberId = 1_000 + status
  const [gone, other] = [await browserOf(memberId), await browserOf(memberId)]
  gone.respond({ status })
  await escalation(await send(memberId), sent)
  await escalation(await send(memberId), sent)
  expect([count(gone), count(other), await stored(memberId)]).toEqual([1, 2, 1])
  other.respond({ status })
  await escalation(await send(memberId), (row) => row === undefined)
  expect(await stored(memberId)).toBe(0)
})

test.each<[string, PushServiceResponse, number, string]>([
  ['429 with Retry-After', { status: 429, headers: { 'retry-after': '100' } }, 100, 'responded with 429'],
  ['429 with a date', { status: 429, headers: { 'retry-after': new Date(Date.now() + 300_000).toUTCString() } }, 300, '429'],
  ['429 with a very long time', { status: 429, headers: { 'retry-after': '999999' } }, 3_600, 'responded with 429'],
  ['500', { status: 500 }, 5, 'responded with 500'],
  ['503', { status: 503, headers: { 'retry-after': 'soon' } }, 5, 'responded with 503'],
])('after %s the message is repeated, but not to a browser that got it', async (_what, response, seconds, reason) => {
  const memberId = 2_000 + seconds + reason.length
  const [bad, good] = [await browserOf(memberId), await browserOf(memberId)]
  bad.respond(response, { status: 201 })
  const id = await send(memberId)
  const row = await escalation(id, failedOnce)
  expect(row?.reason).toContain(reason)
  expect(row?.dueInSeconds).toBeGreaterThan(seconds - 20)
  expect(row?.dueInSeconds).toBeLessThanOrEqual(seconds)
  await hasten(id)
  await escalation(id, sent)
  expect([count(bad), count(good)]).toEqual([2, 1])
  expect(await stack.count('push_settled')).toBe(0)
})

test('a refusal is not repeated: 403 is dead with its reason, also a redirect', async () => {
  const target = createServer((_request, response) => response.end())
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  let reached = 0
  target.on('connection', () => reached++)
  const location = `http://127.0.0.1:${(target.address() as AddressInfo).port}/`
  const browser = await browserOf(5)
  for (const response of [
    { status: 403 },
    { status: 413 },
    { status: 307, headers: { location } },
    { status: 301, headers: { location } },
  ]) {
    browser.respond(response)
    const row = await escalation(await send(5), dead)
    expect(row).toMatchObject({ attempts: 1, reason: `${pushService.origin} responded with ${response.status}` })
  }
  expect([reached, await stored(5)]).toEqual([0, 1])
  target.close()
})

test('a message is given up after twelve attempts, and when its time is over', async () => {
  const browser = await browserOf(6)
  browser.respond({ status: 500 })
  const id = await send(6)
  await escalation(id, failedOnce)
  await stack.rows('UPDATE notification SET created_at = created_at - INTERVAL 2 HOUR WHERE notification_id = ?', [id])
  await stack.rows('UPDATE escalation SET attempts = 11, due_at = NOW(3) WHERE notification_id = ?', [id])
  expect(await escalation(id, dead)).toMatchObject({ attempts: 12 })
  const short = await send(6, { expiresAt: new Date(Date.now() + 4_000).toISOString() })
  expect(await escalation(short, dead)).toMatchObject({ attempts: 1 })
})

test('endpoints that hang or refuse connections fail alone: others are pushed to meanwhile', async () => {
  const refused = `http://127.0.0.1:${await freePort()}/push`
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const hanging = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/push`
  const bad = Array.from({ length: 40 }, (_, at) => 3_000 + at)
  const good = Array.from({ length: 40 }, (_, at) => 3_100 + at)
  await Promise.all(
    bad.map(async (memberId, at) => {
      const endpoint = `${at % 2 === 0 ? hanging : refused}/${memberId}`
      expect((await api.member(memberId).put(path, { ...pushService.subscribe().body, endpoint })).status).toBe(204)
    }),
  )
  const browsers = await Promise.all(good.map(browserOf))
  const memberIds = bad.flatMap((memberId, at) => [memberId, good[at] ?? 0])
  const { body } = await api.send({ memberIds, message: 'hello', ...push })
  const ids = (body['notifications'] as { notificationId: number }[]).map(({ notificationId }) => notificationId)
  await waitFor(() => browsers.every((browser) => count(browser) === 1), { what: 'the good ones', deadlineMs: 4_500 })
  const badIds = ids.filter((_, at) => at % 2 === 0)
  await Promise.all(badIds.map((id) => escalation(id, failedOnce)))
  const [ofHanging, ofRefused] = await Promise.all(badIds.slice(0, 2).map((id) => escalation(id, failedOnce)))
  expect(ofHanging?.reason).toMatch(/no response within 5000 ms|is busy/)
  expect(ofRefused?.reason).toMatch(/ECONNREFUSED|is busy/)
  silent.closeAllConnections()
  silent.close()
})

test('without PUSH_PRIVATE_ADDRESSES, nothing is sent to an endpoint that was stored before', async () => {
  const browser = await browserOf(7)
  const careful = await stack.start(vapid)
  await api.stop()
  const { body } = await careful.send({ memberId: 7, message: 'hello', ...push })
  expect((await escalation(body['notificationId'] as number, dead))?.reason).toBe('the endpoint must be an https: URL')
  expect([count(browser), await stored(7)]).toEqual([0, 1])
})

test('no connection is made to a name with a private address', async () => {
  let connections = 0
  const host = createServer().on('connection', () => connections++)
  await new Promise<void>((resolve) => host.listen(0, 'localhost', resolve))
  const endpoint = `https://localhost:${(host.address() as AddressInfo).port}/push`
  const client = new PushClient({ privateAddresses: 'refuse', perOrigin: 1 })
  await expect(client.post(endpoint, {}, Buffer.alloc(1))).rejects.toThrow('localhost has a private address')
  expect(connections).toBe(0)
  client.close()
  host.close()
})
