import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  connectStomp,
  createDatabase,
  freeServicePort,
  type RawSession,
  type RedisServer,
  type ServiceProcess,
  serviceToken,
  startRedis,
  startService,
} from '@tidings/local'
import { Refused, sendMessage, sendNotification, Unavailable } from '@tidings/producer'
import { afterAll, beforeAll, expect, inject, onTestFinished, test, vi } from 'vitest'

vi.setConfig({ testTimeout: 60_000 })
const readme = join(import.meta.dirname, '../../../packages/producer/README.md')
const nobody = { message: 'hello', redirectPath: '/', memberId: 99 }

let redis: RedisServer
let api: ServiceProcess
let gateway: ServiceProcess
const tidings = () => ({ url: api.url, token: () => Promise.resolve(serviceToken()) })

beforeAll(async () => {
  const [MYSQL_URL, started] = await Promise.all([createDatabase(inject('databaseServerUrl'), 'e2e_producer_send'), startRedis()])
  redis = started
  const [PORT, OPS_PORT] = [String(await freeServicePort()), String(await freeServicePort())]
  api = await startService('notify-api', { MYSQL_URL, REDIS_URL: redis.url, PORT, OPS_PORT })
  gateway = await startService('realtime-gateway', { REDIS_URL: redis.url, NOTIFY_API_URL: api.url, PUBLIC_TOPICS: 'order.*' })
}, 60_000)
afterAll(async () => {
  await Promise.all([api, gateway].map((service) => service?.kill()))
  await redis?.kill()
})

async function subscribe(session: RawSession, destination: string): Promise<void> {
  session.sends(`SUBSCRIBE\nid:${destination}\ndestination:${destination}\nreceipt:${destination}\n\n\0`)
  expect((await session.nextFrame(20_000)).command).toBe('RECEIPT')
}

test('the example of the README sends a notification and messages', async () => {
  const { session } = await connectStomp(gateway.url, { memberId: 7 })
  for (const destination of ['/member/queue/notification', '/topic/order.17', '/member/queue/cart'])
    await subscribe(session, destination)
  const [, example = ''] = /```js\n([^]*?)```/.exec(readFileSync(readme, 'utf8')) ?? []
  const file = join(import.meta.dirname, `../.producer-example-${process.pid}.mjs`)
  writeFileSync(file, example)
  onTestFinished(() => rmSync(file))
  const env = { PATH: process.env['PATH'], TIDINGS_URL: api.url, TIDINGS_TOKEN: serviceToken() }
  const run = spawn(process.execPath, [file], { env, stdio: ['ignore', 'inherit', 'inherit'] })
  expect((await once(run, 'exit'))[0]).toBe(0)
  const received: Record<string, unknown> = {}
  for (let count = 0; count < 3; count += 1) {
    const { headers, body } = await session.nextFrame(20_000)
    received[headers.get('destination') ?? ''] = JSON.parse(body) as unknown
  }
  expect(received).toEqual({
    '/member/queue/notification': {
      memberId: 7,
      notificationId: expect.any(Number),
      message: 'Your order has been paid.',
      redirectPath: '/order/17',
    },
    '/topic/order.17': { state: 'paid' },
    '/member/queue/cart': { items: 0 },
  })
})

test('a send waits while notify-api restarts, and a repeat with the same key stores it once', async () => {
  await api.kill()
  const sending = sendNotification(tidings(), { ...nobody, idempotencyKey: 'order-17' })
  api = await api.again()
  const sent = await sending
  expect(sent).toEqual({ notificationId: expect.any(Number), memberId: 99, online: false })
  const again = await sendNotification(tidings(), { ...nobody, idempotencyKey: 'order-17' })
  expect(again.notificationId).toBe(sent.notificationId)
  const { memberId: _, ...content } = nobody
  const { notifications } = await sendNotification(tidings(), { ...content, memberIds: [98, 99] })
  expect(notifications.map(({ memberId }) => memberId)).toEqual([98, 99])
})

test('a message waits while Redis does not answer, for as long as the caller has patience', async () => {
  redis.pause()
  const message = { destination: '/member/queue/cart', memberIds: [99], body: null }
  const impatient = sendMessage({ ...tidings(), patienceMs: 1 }, message)
  const error = await impatient.catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(Unavailable)
  expect(error).toMatchObject({ problem: { status: 503, type: expect.stringContaining('/unavailable') }, retryAfterMs: 1_000 })
  const sending = sendMessage(tidings(), message)
  redis.resume()
  expect(await sending).toEqual({ messages: [{ memberId: 99, position: expect.stringMatching(/^\d+-\d+$/) }] })
})

test('a refusal rejects at once with the problem', async () => {
  const error = await sendMessage(tidings(), { destination: '/topic/all', body: 1 }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(Refused)
  expect(error).toMatchObject({ problem: { status: 400, errors: [{ in: 'body', pointer: '#/destination' }] } })
  const unauthorized = { ...tidings(), token: serviceToken({ scopes: ['message:send'] }) }
  await expect(sendNotification(unauthorized, nobody)).rejects.toMatchObject({ problem: { status: 403 } })
})
