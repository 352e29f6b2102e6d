import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { newVapidVariables, type PushService, startPushService, waitFor } from '@tidings/local'
import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Escalated } from '../src/reach/deliverer.ts'
import { signaturesOf, webhookSecrets } from '../src/webhook/secret.ts'
import { Webhook, type WebhookSettings } from '../src/webhook/webhook.ts'
import { call, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { openWebhookReceiver, type Responder, type WebhookReceiver } from './fixture/webhook-receiver.ts'

const kills = process.env['TIDINGS_LONG'] === '1' ? 20 : 1
const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`
const secret = newSecret()
/** For a busy machine. */
const deadlineMs = 20_000
/** Short, so that a receiver that hangs is given up soon. */
const timeoutMs = 300

let receiver: WebhookReceiver
/** A server to which redirects lead. */
let other: WebhookReceiver

beforeAll(async () => {
  receiver = await openWebhookReceiver(secret)
  other = await openWebhookReceiver(secret)
})
afterAll(() => Promise.all([receiver.stop(), other.stop()]))

const item: Escalated = {
  notificationId: 42,
  memberId: 'auth0|a1',
  memberKey: 1,
  message: '새로운 알림이 도착했습니다.',
  redirectPath: '/order/17',
  kind: 'order',
  data: { total: '19.99 €' },
  count: 3,
  createdAt: new Date('2026-11-28T09:00:00.123Z'),
  urgency: 'normal',
  attempts: 1,
}

async function deliver(attempts = 1, settings: Partial<WebhookSettings> = {}) {
  const keys = webhookSecrets.parse(secret)
  const webhook = new Webhook({ url: receiver.url, keys, timeoutMs, concurrency: 4, maxAttempts: 20, ...settings })
  try {
    return await webhook.deliver({ ...item, attempts })
  } finally {
    await webhook.close()
  }
}

test('a signature is that of the test vector of Standard Webhooks', () => {
  const keys = webhookSecrets.parse('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
  expect(signaturesOf(keys, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}')).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  )
})

test('a request has the notification, and a signature that the library of Standard Webhooks verifies', async () => {
  expect(await deliver()).toEqual({ outcome: 'sent' })
  const { memberKey: _, urgency: __, attempts: ___, createdAt, ...data } = item
  expect(receiver.received.at(-1)).toEqual({
    id: 'esc_42',
    event: {
      type: 'notification.unseen',
      timestamp: expect.stringMatching(/^20.*Z$/),
      data: { ...data, createdAt: createdAt.toISOString() },
    },
  })
})

test('in a rotation, the receiver verifies with either secret, and not with another', async () => {
  const next = newSecret()
  const keys = webhookSecrets.parse(`${next},${secret}`)
  for (const known of [secret, next]) {
    receiver.verifyWith(known)
    expect(await deliver(1, { keys })).toEqual({ outcome: 'sent' })
  }
  receiver.verifyWith(newSecret())
  expect(await deliver(1, { keys })).toMatchObject({ outcome: 'retry', reason: 'HTTP 401' })
  expect(receiver.refused).toHaveLength(1)
  receiver.verifyWith(secret)
})

const status =
  (code: number, headers: Record<string, string> = {}): Responder =>
  (response) =>
    void response.writeHead(code, headers).end('whatever')
const firstRetry = [4, 5] as const
const raw =
  (bytes: string): Responder =>
  (response) =>
    void response.socket?.end(bytes)

describe('the outcome, when the receiver', () => {
  test.each<[what: string, responder: Responder]>([
    ['answers 200', status(200)],
    ['answers 202', status(202)],
    ['answers 204', (response) => void response.writeHead(204).end()],
    ['answers 200 and never ends the body', (response) => void response.writeHead(200).write('{')],
    [
      'answers 200 and closes the connection in the body',
      (response) => void response.writeHead(200).write('{', () => response.destroy()),
    ],
    ['answers 200 with more than is read', (response) => void response.writeHead(200).end('x'.repeat(10_000_000))],
  ])('%s: sent', async (_, responder) => {
    receiver.respond(responder)
    expect(await deliver()).toEqual({ outcome: 'sent' })
  })

  test.each<[what: string, responder: Responder, reason: string | RegExp, delay?: readonly [number, number]]>([
    ['answers 500', status(500), 'HTTP 500'],
    ['answers 400', status(400), 'HTTP 400'],
    ['answers 404', status(404), 'HTTP 404'],
    ['redirects', (response) => void response.writeHead(307, { location: other.url }).end(), 'HTTP 307'],
    ['switches protocols', raw('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'), /./],
    ['answers 429', status(429), 'HTTP 429'],
    ['answers 429, Retry-After: 120', status(429, { 'retry-after': '120' }), 'HTTP 429', [120, 144]],
    [
      'answers 503, Retry-After: a date',
      status(503, { 'retry-after': new Date(Date.now() + 90_000).toUTCString() }),
      'HTTP 503',
      [60, 108],
    ],
    ['answers 503, Retry-After: a year', status(503, { 'retry-after': '31536000' }), 'HTTP 503', [3_600, 3_600]],
    ['answers 503, Retry-After: 0', status(503, { 'retry-after': '0' }), 'HTTP 503'],
    ['answers 503, Retry-After: soon', status(503, { 'retry-after': 'soon' }), 'HTTP 503'],
    ['hangs', () => {}, `no answer within ${timeoutMs} ms`],
    [
      'hangs in the head of the answer',
      (response) => void response.socket?.write('HTTP/1.1 200 OK\r\nx-'),
      `no answer within ${timeoutMs} ms`,
    ],
    ['closes the connection', (response) => void response.destroy(), 'ECONNRESET'],
    ['closes the connection in the head of the answer', raw('HTTP/1.1 200 OK\r\nx-'), /./],
    ['answers garbage', raw('hello\r\n\r\n'), 'HPE_INVALID_CONSTANT'],
    ['answers a head without end', raw(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}`), 'HPE_HEADER_OVERFLOW'],
  ])('%s: another attempt', async (_, responder, reason, [least, most] = firstRetry) => {
    receiver.respond(responder)
    const delivered = await deliver()
    expect(delivered).toMatchObject({
      outcome: 'retry',
      reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
    })
    const { afterSeconds } = delivered as { afterSeconds: number }
    expect(afterSeconds).toBeGreaterThanOrEqual(least)
    expect(afterSeconds).toBeLessThanOrEqual(most)
  })

  test('is down: another attempt, later each time and at most after an hour; the last one is dead', async () => {
    await receiver.stop()
    const delays: number[] = []
    for (let attempts = 1; attempts < 20; attempts++) {
      const delivered = await deliver(attempts)
      expect(delivered).toMatchObject({ outcome: 'retry', reason: 'ECONNREFUSED' })
      delays.push((delivered as { afterSeconds: number }).afterSeconds)
    }
    for (const [index, delay] of delays.entries()) {
      const longest = Math.min(5 * 2 ** index, 3_600)
      expect(delay).toBeGreaterThanOrEqual(longest * 0.8)
      expect(delay).toBeLessThanOrEqual(longest)
    }
    expect(await deliver(20)).toEqual({ outcome: 'dead', reason: 'ECONNREFUSED' })
    await receiver.start()
  })

  test('answers 410: dead at once', async () => {
    receiver.respond(status(410))
    expect(await deliver()).toEqual({ outcome: 'dead', reason: 'HTTP 410' })
  })

  test('redirects: the other server receives nothing', () => {
    expect(other.received).toEqual([])
  })
})

const received = (id: number) => receiver.received.filter(({ event }) => event.data.notificationId === id)
const untilReceived = (id: number, times = 1) =>
  waitFor(() => received(id).length >= times, { deadlineMs, what: `event ${times} of ${id}` })

/** The statements of a section of OPERATIONS.md. */
function documentedStatements(heading: string): string[] {
  const page = readFileSync(new URL('../../../docs/OPERATIONS.md', import.meta.url), 'utf8')
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return Array.from(section.matchAll(/^```sql\n([^]*?)^```$/gm), ([, sql = '']) => sql)
}

describe('notify-api', () => {
  let stack: Stack
  let api: NotifyApi
  let pushService: PushService
  const concurrency = 4
  const memberId = 'auth0|away'

  beforeAll(async () => {
    stack = await openStack('webhook')
    pushService = await startPushService()
    api = await stack.start({
      ...newVapidVariables(),
      PUSH_PRIVATE_ADDRESSES: 'allow',
      WEBHOOK_URL: receiver.url,
      WEBHOOK_SECRET: `${newSecret()} ${secret}`,
      WEBHOOK_TIMEOUT_MS: '8000',
      WEBHOOK_CONCURRENCY: String(concurrency),
      ESCALATE: '{"chat":{"webhook":true}}',
    })
  })
  afterAll(async () => {
    await stack.close()
    await pushService.close()
  })
  beforeEach(() => receiver.respond(status(204)))

  async function send(fields: Record<string, unknown> = {}): Promise<number> {
    const sent = await api.send({ memberId, message: 'hello', escalate: { webhook: true }, ...fields })
    expect(sent).toMatchObject({ status: 201 })
    return sent.body['notificationId'] as number
  }

  async function statusOf(id: number) {
    return (await call(`${api.url}/notification/${id}/status`, { headers: api.bearer })).body
  }
  const untilState = (id: number, state: string | null) =>
    waitFor(async () => (await statusOf(id))['webhook'] === state, { deadlineMs, what: `${id} to be ${state}` })
  async function rowOf(id: number) {
    const [row] = await stack.rows<{ state: string; attempts: number; reason: string | null; waits: number }>(
      `SELECT state, attempts, reason, due_at > UTC_TIMESTAMP(3) + INTERVAL 1 SECOND AS waits FROM escalation WHERE notification_id = ?`,
      [id],
    )
    return row
  }
  const untilFailed = (id: number) =>
    waitFor(async () => typeof (await rowOf(id))?.reason === 'string', { deadlineMs, what: `a failed attempt of ${id}` })
  /** Ends the wait for the next attempt, and the claim of an instance that was killed. */
  const hurry = () => stack.rows("UPDATE escalation SET due_at = UTC_TIMESTAMP(3) WHERE state = 'waiting'")

  test.concurrent('sends what is unseen after afterSeconds, and its status; not what was seen, read or archived meanwhile', async () => {
    const content = { message: '오래된 소식', redirectPath: '/o/1', kind: 'order', data: { a: [1] } }
    const escalate = { webhook: true, afterSeconds: 1 }
    const ids = await Promise.all([1, 2, 3, 4].map((member) => send({ ...content, memberId: member, escalate })))
    const [seen, read, archived, unseen] = ids as [number, number, number, number]
    expect(await statusOf(unseen)).toMatchObject({ webhook: 'waiting', push: null })
    await api.member(1).post('/notification/seen', { upTo: seen })
    await api.member(2).post(`/notification/${read}/read`)
    await api.member(3).post(`/notification/${archived}/archive`)
    await untilReceived(unseen)
    const createdAt = (await statusOf(unseen))['createdAt']
    expect(received(unseen)[0]?.event.data).toEqual({ notificationId: unseen, memberId: 4, ...content, count: 1, createdAt })
    await untilState(unseen, 'sent')
    await Promise.all([seen, read, archived].map((id) => untilState(id, null)))
    expect([seen, read, archived].flatMap(received)).toEqual([])
  })

  test.concurrent('sends one of several that collapsed, with their number', async () => {
    const escalate = { webhook: true, afterSeconds: 1 }
    const ids = [await send({ collapseKey: 'k', escalate }), await send({ collapseKey: 'k', escalate, message: 'last' })]
    await untilReceived(ids[1] as number)
    expect(received(ids[1] as number)[0]?.event.data).toMatchObject({ message: 'last', count: 2 })
    expect(received(ids[0] as number)).toEqual([])
  })

  test.concurrent('sends the notification of a task that has finished: as it asks, or by default of its kind', async () => {
    for (const escalation of [{ escalate: { webhook: true } }, { kind: 'chat' }]) {
      const { body } = await api.post('/task', { memberId, kind: 'rag.answer' })
      const taskId = String(body['taskId'])
      const notify = { message: `the answer to ${taskId}`, redirectPath: '/chat/1', ...escalation }
      expect(await api.post(`/task/${taskId}/finish`, { status: 'succeeded', notify })).toMatchObject({ status: 200 })
      const ofTask = () => receiver.received.find(({ event }) => event.data.message === notify.message)
      await waitFor(() => ofTask() !== undefined, { deadlineMs, what: 'the event of the task' })
      const { kind } = notify as { kind?: string }
      expect(ofTask()?.event.data).toMatchObject({ memberId, redirectPath: '/chat/1', ...(kind && { kind }) })
      const id = ofTask()?.event.data.notificationId ?? 0
      await untilState(id, 'sent')
      await waitFor(async () => (await statusOf(id))['published'] === true, { deadlineMs, what: 'the publication' })
      expect(await statusOf(id)).toMatchObject({ received: false })
    }
  })

  test('tries again after a while while the receiver is down, and then answers 500, with the same id', async () => {
    await receiver.stop()
    const id = await send()
    await untilFailed(id)
    expect(await rowOf(id)).toEqual({ state: 'waiting', attempts: 1, reason: 'ECONNREFUSED', waits: 1 })
    await receiver.start()
    receiver.respond(status(500))
    await hurry()
    await untilReceived(id)
    await waitFor(async () => (await rowOf(id))?.reason === 'HTTP 500', { deadlineMs, what: 'the second failure' })
    expect(await rowOf(id)).toMatchObject({ state: 'waiting', attempts: 2, waits: 1 })
    receiver.respond(status(204))
    await hurry()
    await untilState(id, 'sent')
    expect(received(id).map(({ id: webhookId }) => webhookId)).toEqual([`esc_${id}`, `esc_${id}`])
    expect(await rowOf(id)).toMatchObject({ state: 'sent', attempts: 3, reason: null })
  })

  test('waits for some answers: the others are sent meanwhile, within the bound of requests at once', async () => {
    const late: (() => void)[] = []
    receiver.respond((response, { event }) => {
      const answer = () => void response.writeHead(204).end()
      if (event.data.message === 'late') late.push(answer)
      else answer()
    })
    const waiting = await Promise.all(Array.from({ length: concurrency - 1 }, () => send({ message: 'late' })))
    await waitFor(() => late.length === waiting.length, { deadlineMs, what: 'the requests that wait' })
    const others = await Promise.all(Array.from({ length: 30 }, () => send()))
    await Promise.all(others.map((id) => untilState(id, 'sent')))
    expect(receiver.open()).toBe(waiting.length)
    for (const answer of late) answer()
    await Promise.all(waiting.map((id) => untilState(id, 'sent')))
  })

  test('waits for as many answers as it may: pushes go out meanwhile', async () => {
    const browser = pushService.subscribe()
    await api.member(6).put('/push/subscription', browser.body)
    const late: (() => void)[] = []
    receiver.respond((response) => late.push(() => void response.writeHead(204).end()))
    const waiting = await Promise.all(Array.from({ length: 3 * concurrency }, () => send()))
    await waitFor(() => late.length === concurrency, { deadlineMs, what: 'the requests that wait' })
    const pushed = await send({ memberId: 6, escalate: { push: true } })
    await waitFor(async () => (await statusOf(pushed))['push'] === 'sent', { deadlineMs, what: 'the push' })
    expect(browser.messages).toHaveLength(1)
    expect(late).toHaveLength(concurrency)
    receiver.respond(status(204))
    for (const answer of late) answer()
    await Promise.all(waiting.map((id) => untilState(id, 'sent')))
  })

  test('has never more requests open than its bound', async () => {
    let most = 0
    receiver.respond((response) => {
      most = Math.max(most, receiver.open())
      setTimeout(() => response.writeHead(204).end(), 20)
    })
    const ids = await Promise.all(Array.from({ length: 40 }, () => send()))
    await Promise.all(ids.map((id) => untilState(id, 'sent')))
    expect(most).toBe(concurrency)
  })

  test('gives up on 410; dead letters are listed, replayed and discarded as OPERATIONS.md says', async () => {
    await stack.rows('DELETE FROM escalation')
    receiver.respond(status(410))
    const [id, refused, seen] = [await send(), await send(), await send({ memberId: 5 })]
    await Promise.all([id, refused, seen].map((each) => untilState(each, 'dead')))
    const [summary = '', list = '', replay = '', discard = ''] = documentedStatements('Dead letters')
    // The session of an operator may be in any time zone.
    const operator = await createConnection({ uri: stack.databaseUrl, timezone: '+09:00' })
    try {
      await operator.query("SET time_zone = '+09:00'")
      const rows = async (sql: string) => (await operator.query(sql))[0]
      expect(await rows(summary)).toMatchObject([{ way: 'webhook', reason: 'HTTP 410', dead: 3 }])
      expect(await rows(list)).toMatchObject(
        [id, refused, seen].map((each) => ({ notification_id: each, attempts: 1, reason: 'HTTP 410' })),
      )
      await api.member(5).post(`/notification/${seen}/read`)
      receiver.respond((response, { event }) => void response.writeHead(event.data.notificationId === id ? 204 : 410).end())
      expect(await rows(replay)).toMatchObject({ affectedRows: 3 })
      await untilState(id, 'sent')
      await untilState(seen, null)
      await untilReceived(refused, 2)
      await untilState(refused, 'dead')
      expect(received(id).map(({ id: webhookId }) => webhookId)).toEqual([`esc_${id}`, `esc_${id}`])
      expect(await rows(discard)).toMatchObject({ affectedRows: 1 })
      expect(await rows(list)).toEqual([])
    } finally {
      await operator.end()
    }
  })

  test('stops while a request is open: its answer is awaited and stored', async () => {
    const answers: (() => void)[] = []
    receiver.respond((response) => answers.push(() => void response.writeHead(204).end()))
    const id = await send()
    await untilReceived(id)
    const stopped = api.stop()
    for (const answer of answers) answer()
    expect(await stopped).toEqual({ code: 0, signal: null })
    expect(await rowOf(id)).toMatchObject({ state: 'sent' })
    api = await api.again()
    expect(received(id)).toHaveLength(1)
  })

  test(`kill -9 between an answer and its row, ${kills} times: all are sent, each with one repetition at most`, async () => {
    for (let kill = 1; kill <= kills; kill++) {
      let killed: Promise<unknown> | undefined
      receiver.respond((response) => {
        // The answers of the requests that are open arrive at no process.
        if (receiver.open() === concurrency) killed ??= api.kill()
        if (killed) void killed.then(() => response.writeHead(204).end())
        else setTimeout(() => response.writeHead(204).end(), 50)
      })
      const ids = (await Promise.allSettled(Array.from({ length: 12 }, () => send()))).flatMap((sent) =>
        sent.status === 'fulfilled' ? [sent.value] : [],
      )
      await waitFor(() => killed !== undefined, { deadlineMs, what: 'as many open requests as there may be' })
      await killed
      receiver.respond(status(204))
      api = await api.again()
      await hurry()
      await Promise.all(ids.map((id) => untilState(id, 'sent')))
      const times = ids.map((id) => received(id).length)
      expect(Math.max(...times)).toBe(2)
      expect(Math.min(...times)).toBe(1)
    }
  }, 300_000)
})
