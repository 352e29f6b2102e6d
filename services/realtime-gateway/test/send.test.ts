import { createServer, type Server } from 'node:http'
import {
  createDatabase,
  localOrigin,
  memberToken,
  type RawSession,
  type ServiceProcess,
  serviceToken,
  startService,
} from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import {
  expectNothingElse,
  type GatewayStack,
  nextMessage,
  openSession,
  sendFrame,
  startGatewayStack,
  subscribe,
} from './fixture/gateway.ts'

/** An HTTP request that the stand-in for notify-api received. */
interface Call {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly authorization: string | undefined
  readonly cookie: string | undefined
  readonly origin: string | undefined
  readonly type: string | undefined
  readonly body: string
}

let stack: GatewayStack
let gateway: ServiceProcess
/** Stand-in for notify-api: records each request in `calls` and responds with `response`. */
let standIn: Server
let calls: Call[] = []
let response: { status: number; body?: string } = { status: 204 }

beforeAll(async () => {
  stack = await startGatewayStack()
  standIn = createServer((incoming, outgoing) => {
    let body = ''
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()))
    incoming.on('end', () => {
      const { authorization, cookie, origin, 'content-type': type } = incoming.headers
      calls.push({ method: incoming.method, url: incoming.url, authorization, cookie, origin, type, body })
      outgoing.writeHead(response.status, { 'content-type': 'application/problem+json' }).end(response.body)
    })
  })
  await new Promise<void>((resolve) => standIn.listen(0, '127.0.0.1', resolve))
  const { port } = standIn.address() as { port: number }
  gateway = await stack.startGateway({ NOTIFY_API_URL: `http://127.0.0.1:${port}` })
})
afterAll(async () => {
  standIn.close()
  await stack.close()
})

/** Opens a session of member 1 that receives its refusals, and resets the stand-in. */
async function openMemberSession(): Promise<{ session: RawSession; token: string }> {
  calls = []
  response = { status: 204 }
  const token = memberToken(1)
  const session = await openSession(gateway, { token })
  await subscribe(session, 'error', '/member/queue/error')
  return { session, token }
}

async function expectReceipt(session: RawSession, receipt: string): Promise<void> {
  expect((await session.nextFrame()).headers.get('receipt-id')).toBe(receipt)
}

test('forwards a SEND as an HTTP request with the credentials of the session, and sends the RECEIPT after the response', async () => {
  const { session, token } = await openMemberSession()
  sendFrame(session, 'SEND', { destination: '/publish/notification/read', receipt: '1' }, '{"notificationId":12345}')
  await expectReceipt(session, '1')
  sendFrame(session, 'SEND', { destination: '/publish/notification/read', receipt: '2' }, '{"upTo":12345}')
  await expectReceipt(session, '2')
  sendFrame(session, 'SEND', { destination: '/publish/notification/seen', receipt: '3' }, '{"upTo":12345}')
  await expectReceipt(session, '3')
  const received = '{"notificationIds":[12345,12346]}'
  sendFrame(session, 'SEND', { destination: '/publish/notification/received', receipt: '4' }, received)
  await expectReceipt(session, '4')
  const common = { method: 'POST', cookie: `access_token=${token}`, origin: 'http://localhost:8080', type: 'application/json' }
  expect(calls).toEqual([
    { ...common, url: '/notification/12345/read', body: '{}' },
    { ...common, url: '/notification/read-all', body: '{"upTo":12345}' },
    { ...common, url: '/notification/seen', body: '{"upTo":12345}' },
    { ...common, url: '/notification/received', body: received },
  ])
  await expectNothingElse(session)
})

test.each([null, localOrigin])('forwards the token of a native client as Bearer (Origin %s)', async (origin) => {
  calls = []
  response = { status: 204 }
  const authorization = `Bearer ${memberToken(1)}`
  const session = await openSession(gateway, { cookie: 'a=1', origin, headers: { authorization } })
  sendFrame(session, 'SEND', { destination: '/publish/notification/read', receipt: '1' }, '{"upTo":1}')
  await expectReceipt(session, '1')
  expect(calls).toMatchObject([{ url: '/notification/read-all', authorization, cookie: undefined, origin: undefined }])
})

test('sends the problem of a refused request to /member/queue/error, and keeps the session open', async () => {
  const { session } = await openMemberSession()
  const problem = { type: 'https://example.com/not-found', title: 'Not Found', status: 404, detail: 'no such notification' }
  response = { status: 404, body: JSON.stringify(problem) }
  sendFrame(session, 'SEND', { destination: '/publish/notification/read', receipt: '1' }, '{"notificationId":1}')
  const error = await nextMessage(session)
  expect(error.headers.get('destination')).toBe('/member/queue/error')
  expect(JSON.parse(error.body)).toEqual({ destination: '/publish/notification/read', ...problem })
  await expectReceipt(session, '1')
  await expectNothingElse(session)
})

test.each([
  ['a body that is not JSON', '{', 400],
  ['an empty body', '', 400],
  ['a body with a field of the wrong type', '{"notificationId":"x"}', 400],
  ['a path as the id', '{"notificationId":"1/../2"}', 400],
  ['a body with an unknown field', '{"notificationId":1,"memberId":2}', 400],
])('refuses %s without a request to notify-api', async (_, body, status) => {
  const { session } = await openMemberSession()
  sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, body)
  expect(JSON.parse((await nextMessage(session)).body)).toMatchObject({ destination: '/publish/notification/read', status })
  expect(calls).toEqual([])
})

test.each([
  [500, 'not JSON', { status: 500, title: 'Internal Server Error' }],
  [429, '{"title":1}', { status: 429 }],
])('reports a response %i without a problem document as a refusal', async (status, body, problem) => {
  const { session } = await openMemberSession()
  response = { status, body }
  sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, '{"notificationId":1}')
  expect(JSON.parse((await nextMessage(session)).body)).toMatchObject(problem)
})

test('refuses a SEND with 503 when notify-api cannot be reached', async () => {
  const disconnected = await stack.startGateway({ NOTIFY_API_URL: 'http://127.0.0.1:9' })
  const session = await openSession(disconnected)
  await subscribe(session, 'error', '/member/queue/error')
  sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, '{"notificationId":1}')
  expect(JSON.parse((await nextMessage(session)).body)).toMatchObject({ status: 503 })
})

test('forwards the SENDs of a transaction in order at COMMIT, and drops them at ABORT', async () => {
  const { session } = await openMemberSession()
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

test('marks a notification as read in the real notify-api, and closes the session when its member is revoked there', {
  timeout: 60_000,
}, async () => {
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'gateway_send')
  const notifyApi = await startService('notify-api', { MYSQL_URL, REDIS_URL: stack.redis.url, PUBLISH_TIMEOUT_MS: '10000' })
  try {
    const realGateway = await stack.startGateway({ NOTIFY_API_URL: notifyApi.url })
    const session = await openSession(realGateway, { memberId: 42 })
    await subscribe(session, 'error', '/member/queue/error')
    await subscribe(session, 'notification', '/member/queue/notification')
    await subscribe(session, 'read', '/member/queue/read')
    const sent = await fetch(`${notifyApi.url}/notification/send`, {
      method: 'POST',
      headers: { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' },
      body: JSON.stringify({ memberId: 42, message: '새로운 알림이 도착했습니다.', redirectPath: '/dashboard' }),
    })
    expect([sent.status, await sent.json()]).toMatchObject([201, { memberId: 42, online: true }])
    const { notificationId } = JSON.parse((await nextMessage(session)).body) as { notificationId: number }
    sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, JSON.stringify({ notificationId }))
    const read = await nextMessage(session)
    expect([read.headers.get('subscription'), JSON.parse(read.body)]).toMatchObject([
      'read',
      { memberId: 42, notificationIds: [notificationId], unreadCount: 0 },
    ])
    sendFrame(session, 'SEND', { destination: '/publish/notification/read' }, JSON.stringify({ notificationId: 999_999 }))
    expect(JSON.parse((await nextMessage(session)).body)).toMatchObject({
      destination: '/publish/notification/read',
      status: 404,
    })
    const authorization = `Bearer ${memberToken(42)}`
    const native = await openSession(realGateway, { cookie: '', origin: null, headers: { authorization } })
    await subscribe(native, 'error', '/member/queue/error')
    sendFrame(native, 'SEND', { destination: '/publish/notification/read', receipt: 'r' }, JSON.stringify({ notificationId }))
    expect((await native.nextFrame()).headers.get('receipt-id')).toBe('r')
    native.socket.terminate()
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
