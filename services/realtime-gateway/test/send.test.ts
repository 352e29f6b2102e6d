import { createServer, type Server } from 'node:http'
import { createDatabase, memberToken, type RawSession, type ServiceProcess, serviceToken, startService } from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type Bed, connected, message, nothingElse, openBed, sendFrame, subscribed } from './fixture/gateway.ts'

interface Call {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly cookie: string | undefined
  readonly origin: string | undefined
  readonly type: string | undefined
  readonly body: string
}

let bed: Bed
let gateway: ServiceProcess
/** Stands where notify-api stands, and answers what the test wants. */
let standIn: Server
let calls: Call[] = []
let answer: { status: number; body?: string } = { status: 204 }

beforeAll(async () => {
  bed = await openBed()
  standIn = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const { cookie, origin, 'content-type': type } = request.headers
      calls.push({ method: request.method, url: request.url, cookie, origin, type, body })
      response.writeHead(answer.status, { 'content-type': 'application/problem+json' }).end(answer.body)
    })
  })
  await new Promise<void>((resolve) => standIn.listen(0, '127.0.0.1', resolve))
  const { port } = standIn.address() as { port: number }
  gateway = await bed.gateway({ NOTIFY_API_URL: `http://127.0.0.1:${port}` })
})
afterAll(async () => {
  standIn.close()
  await bed.close()
})

async function browser(): Promise<{ session: RawSession; token: string }> {
  calls = []
  answer = { status: 204 }
  const token = memberToken(1)
  const session = await connected(gateway, { token })
  await subscribed(session, 'error', '/member/queue/error')
  return { session, token }
}

async function expectReceipt(session: RawSession, receipt: string): Promise<void> {
  expect((await session.nextFrame()).headers.get('receipt-id')).toBe(receipt)
}

test('a SEND is the HTTP call, with the credentials of the session; its receipt comes after the answer', async () => {
  const { session, token } = await browser()
  sendFrame(session, 'SEND', { destination: '/publish/notification/read', receipt: '1' }, '{"notificationId":12345}')
  await expectReceipt(session, '1')
  sendFrame(session, 'SEND', { destination: '/publish/notification/read', receipt: '2' }, '{"upTo":12345}')
  await expectReceipt(session, '2')
  const common = { method: 'POST', cookie: `access_token=${token}`, origin: 'http://localhost:8080', type: 'application/json' }
  expect(calls).toEqual([
    { ...common, url: '/notification/12345/read', body: '{}' },
    { ...common, url: '/notification/read-all', body: '{"upTo":12345}' },
  ])
  await nothingElse(session)
})

test('a refusal arrives on /member/queue/error as the problem of the call; the session goes on', async () => {
  const { session } = await browser()
  const problem = { type: 'https://example.com/not-found', title: 'Not Found', status: 404, detail: 'no such notification' }
  answer = { status: 404, body: JSON.stringify(problem) }
  sendFrame(session, 'SEND', { destination: '/publish/notification/read', receipt: '1' }, '{"notificationId":1}')
  const told = await message(session)
  expect(told.headers.get('destination')).toBe('/member/queue/error')
  expect(JSON.parse(told.body)).toEqual({ destination: '/publish/notification/read', ...problem })
  await expectReceipt(session, '1')
  await nothingElse(session)
})

test.each([
  ['a body that is no JSON', '{', 400],
  ['an empty body', '', 400],
  ['another body', '{"notificationId":"x"}', 400],
  ['a path in the id', '{"notificationId":"1/../2"}', 400],
  ['too much in the body', '{"notificationId":1,"memberId":2}', 400],
])('%s is refused without asking', async (_, body, status) => {
  const { session } = await browser()
  sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, body)
  expect(JSON.parse((await message(session)).body)).toMatchObject({ destination: '/publish/notification/read', status })
  expect(calls).toEqual([])
})

test.each([
  [500, 'no JSON', { status: 500, title: 'Internal Server Error' }],
  [429, '{"title":1}', { status: 429 }],
])('an answer %i without a problem is a refusal as well', async (status, body, told) => {
  const { session } = await browser()
  answer = { status, body }
  sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, '{"notificationId":1}')
  expect(JSON.parse((await message(session)).body)).toMatchObject(told)
})

test('while notify-api is away SENDs are refused with 503', async () => {
  const alone = await bed.gateway({ NOTIFY_API_URL: 'http://127.0.0.1:9' })
  const session = await connected(alone)
  await subscribed(session, 'error', '/member/queue/error')
  sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, '{"notificationId":1}')
  expect(JSON.parse((await message(session)).body)).toMatchObject({ status: 503 })
})

test('SENDs of a transaction go at COMMIT, in order; those of an ABORT never', async () => {
  const { session } = await browser()
  sendFrame(session, 'BEGIN', { transaction: 'a' })
  sendFrame(session, 'BEGIN', { transaction: 'b' })
  for (const id of [1, 2, 3]) {
    for (const transaction of ['a', 'b']) {
      sendFrame(
        session,
        'SEND',
        { destination: '/publish/notification/read', transaction, receipt: `${id}` },
        `{"notificationId":${id}}`,
      )
      await expectReceipt(session, `${id}`)
    }
  }
  expect(calls).toEqual([])
  sendFrame(session, 'ABORT', { transaction: 'b' })
  sendFrame(session, 'COMMIT', { transaction: 'a', receipt: 'committed' })
  await expectReceipt(session, 'committed')
  expect(calls.map(({ url }) => url)).toEqual([1, 2, 3].map((id) => `/notification/${id}/read`))
})

test('with the real notify-api: /publish/notification/read does what the HTTP call does', { timeout: 60_000 }, async () => {
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'gateway_send')
  const notifyApi = await startService('notify-api', { MYSQL_URL, REDIS_URL: bed.redis.url, PUBLISH_TIMEOUT_MS: '10000' })
  try {
    const real = await bed.gateway({ NOTIFY_API_URL: notifyApi.url })
    const session = await connected(real, { memberId: 42 })
    await subscribed(session, 'error', '/member/queue/error')
    await subscribed(session, 'notification', '/member/queue/notification')
    await subscribed(session, 'read', '/member/queue/read')
    const sent = await fetch(`${notifyApi.url}/notification/send`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ memberId: 42, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' }),
    })
    expect([sent.status, await sent.json()]).toMatchObject([201, { memberId: 42, online: true }])
    const { notificationId } = JSON.parse((await message(session)).body) as { notificationId: number }
    sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, JSON.stringify({ notificationId }))
    const read = await message(session)
    expect([read.headers.get('subscription'), JSON.parse(read.body)]).toMatchObject([
      'read',
      { memberId: 42, notificationId, unreadCount: 0 },
    ])
    sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, JSON.stringify({ notificationId: 999_999 }))
    expect(JSON.parse((await message(session)).body)).toMatchObject({ destination: '/publish/notification/read', status: 404 })
    const revoked = await fetch(`${notifyApi.url}/session/revoke`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ memberId: 42 }),
    })
    expect(revoked.status).toBe(202)
    expect((await session.nextFrame()).command).toBe('ERROR')
    expect((await session.closed()).code).toBe(4401)
  } finally {
    await notifyApi.kill()
  }
})
