import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Escalated } from '../src/reach/deliverer.ts'
import { signaturesOf, webhookSecrets } from '../src/webhook/secret.ts'
import { Webhook, type WebhookSettings } from '../src/webhook/webhook.ts'
import { openWebhookReceiver, type Responder, type WebhookReceiver } from './fixture/webhook-receiver.ts'

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`
const secret = newSecret()
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
    ['answers 429, Retry-After: 120', status(429, { 'retry-after': '120' }), 'HTTP 429', [120, 120]],
    [
      'answers 503, Retry-After: a date',
      status(503, { 'retry-after': new Date(Date.now() + 90_000).toUTCString() }),
      'HTTP 503',
      [60, 90],
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
