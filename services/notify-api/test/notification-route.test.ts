import { memberToken, serviceToken, waitFor } from '@tidings/local'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { call, hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

const invalid = (pointer: string) => ({ status: 400, type: 'invalid', pointer })
const uuid = '0f8c2a1e-5b7d-4e2f-9a3c-6d1b8e4f7a20'
const authorization = (token: string) => ({ authorization: `Bearer ${token}` })

let stack: Stack
let api: NotifyApi

beforeAll(async () => {
  stack = await openStack('notification_route')
  api = await stack.start()
})
afterAll(() => stack.close())

describe('POST /notification/send', () => {
  test('stores the notification and publishes the body that browsers receive', async () => {
    const gateway = await stack.listen('member:1:notification')
    const { status, body } = await api.send({ ...hello, data: { orderId: 77, tags: ['a', null, { deep: true }] } })
    expect(status).toBe(201)
    expect(body).toEqual({ notificationId: expect.any(Number), memberId: 1, online: true })
    await waitFor(() => gateway.publications.length === 1, { what: 'the publication' })
    expect(gateway.publications[0]).toEqual({
      channel: 'member:1:notification',
      position: expect.stringMatching(/^\d{15}-1$/),
      body: { ...hello, notificationId: body['notificationId'], data: { orderId: 77, tags: ['a', null, { deep: true }] } },
    })
    const { body: inbox } = await api.member(1).get('/notification')
    expect(inbox['items']).toEqual([
      {
        ...hello,
        notificationId: body['notificationId'],
        data: { orderId: 77, tags: ['a', null, { deep: true }] },
        createdAt: expect.any(String),
        readAt: null,
        seen: false,
        archived: false,
        count: 1,
      },
    ])
    gateway.close()
  })

  test('returns online: false when no gateway listens for the member', async () => {
    const { body } = await api.send({ ...hello, memberId: 2 })
    expect(body['online']).toBe(false)
  })

  test('sends to several members in their order, each with its own id and channel', async () => {
    const gateway = await stack.listen('member:31:notification', 'member:32:notification')
    const { memberId: _, ...content } = hello
    const { status, body } = await api.send({ ...content, memberIds: [32, 31, 33, 32] })
    expect(status).toBe(201)
    const sent = body['notifications'] as { notificationId: number; memberId: number; online: boolean }[]
    expect(sent.map(({ memberId, online }) => [memberId, online])).toEqual([
      [32, true],
      [31, true],
      [33, false],
      [32, true],
    ])
    expect(new Set(sent.map(({ notificationId }) => notificationId)).size).toBe(4)
    await waitFor(() => gateway.publications.length === 3, { what: 'three publications' })
    for (const { channel, body: published } of gateway.publications) {
      expect(channel).toBe(`member:${String(published['memberId'])}:notification`)
      expect(sent).toContainEqual({ notificationId: published['notificationId'], memberId: published['memberId'], online: true })
    }
    gateway.close()
  })

  test('accepts a thousand members and the longest message in one transaction', async () => {
    const memberIds = Array.from({ length: 1_000 }, (_, index) => 1_000_000 + index)
    const message = '가'.repeat(4_000)
    const { status, body } = await api.send({ memberIds, message, redirectPath: '/' })
    expect(status).toBe(201)
    expect((body['notifications'] as { memberId: number }[]).map(({ memberId }) => memberId)).toEqual(memberIds)
    const rows = await stack.rows<{ member_id: number }>(
      'SELECT member_id FROM notification WHERE message = ? ORDER BY notification_id',
      [message],
    )
    expect(rows.map(({ member_id }) => member_id)).toEqual(memberIds)
  })

  test('stores every character unchanged', async () => {
    const text = `'"\\ \0 \n \r \t % _ ; -- /* ? ?? :a \u{1F600} 가 \u2028 </script> \b \x1a`
    const { body } = await api.send({ memberId: 41, message: text, redirectPath: `/'"?a=b;--`, data: { [text]: text } })
    const { body: inbox } = await api.member(41).get('/notification')
    expect(inbox['items']).toEqual([
      expect.objectContaining({
        notificationId: body['notificationId'],
        message: text,
        redirectPath: `/'"?a=b;--`,
        data: { [text]: text },
      }),
    ])
  })

  test('refuses content that is too large for its number of members', async () => {
    const { status, body } = await api.send({
      memberIds: Array.from({ length: 1_000 }, (_, index) => index + 1),
      message: 'a',
      redirectPath: '/',
      data: { text: 'x'.repeat(40_000) },
    })
    expect(status).toBe(413)
    expect(body).toMatchObject({
      type: 'https://tidings.dev/problem/too-large',
      errors: [{ in: 'body', pointer: '#/memberIds' }],
    })
  })

  test('returns to each of 100 concurrent sends the id of its own row', async () => {
    const responses = await Promise.all(
      Array.from({ length: 100 }, (_, index) => api.send({ ...hello, memberId: 51, message: `message ${index}` })),
    )
    const rows = await stack.rows<{ notification_id: number; message: string }>(
      'SELECT notification_id, message FROM notification WHERE member_id = 51',
    )
    const messages = new Map(rows.map((row) => [row.notification_id, row.message]))
    expect(responses.map(({ body }) => messages.get(body['notificationId'] as number))).toEqual(
      responses.map((_, index) => `message ${index}`),
    )
    await waitFor(async () => (await stack.count('outbox')) === 0, { what: 'an empty outbox' })
  })
})

describe('POST /notification/broadcast', () => {
  test('stores one row, publishes it to all members and returns it in every inbox', async () => {
    const gateway = await stack.listen('broadcast:all')
    const { status, body } = await api.post('/notification/broadcast', { message: '점검 안내', redirectPath: '/notice' })
    expect(status).toBe(201)
    expect(body).toEqual({ notificationId: expect.any(Number) })
    await waitFor(() => gateway.publications.length === 1, { what: 'the broadcast' })
    expect(gateway.publications[0]?.body).toEqual({ ...body, message: '점검 안내', redirectPath: '/notice' })
    for (const memberId of [61, 62]) {
      const { body: inbox } = await api.member(memberId).get('/notification')
      expect(inbox['items']).toEqual([
        {
          ...body,
          message: '점검 안내',
          redirectPath: '/notice',
          createdAt: expect.any(String),
          readAt: null,
          seen: false,
          archived: false,
          count: 1,
        },
      ])
    }
    gateway.close()
  })
})

describe('a refusal names the error and its place', () => {
  test.each([
    ['memberId missing', { message: 'a', redirectPath: '/' }, invalid('#/memberId')],
    ['memberId 0', { ...hello, memberId: 0 }, invalid('#/memberId')],
    ['memberId of 2^53', { ...hello, memberId: 2 ** 53 }, invalid('#/memberId')],
    ['memberId with a space', { ...hello, memberId: 'a b' }, invalid('#/memberId')],
    ['memberId of 65 characters', { ...hello, memberId: 'a'.repeat(65) }, invalid('#/memberId')],
    ['memberId together with memberIds', { ...hello, memberIds: [1] }, invalid('#/memberId')],
    ['one invalid member of several', { message: 'a', redirectPath: '/', memberIds: ['a', -1] }, invalid('#/memberIds/1')],
    [
      '1,001 members',
      { message: 'a', redirectPath: '/', memberIds: Array.from({ length: 1_001 }, () => 1) },
      invalid('#/memberIds'),
    ],
    ['an empty message', { ...hello, message: '' }, invalid('#/message')],
    ['a long message', { ...hello, message: 'a'.repeat(4_001) }, invalid('#/message')],
    ['a lone surrogate in a message', { ...hello, message: 'a\ud83d' }, invalid('#/message')],
    ['a lone surrogate in a path', { ...hello, redirectPath: '/\ude00' }, invalid('#/redirectPath')],
    ['a redirect to another host', { ...hello, redirectPath: '//evil.example' }, invalid('#/redirectPath')],
    ['data that is a list', { ...hello, data: [] }, invalid('#/data')],
    [
      'data nested too deep',
      `{"memberId":1,"message":"a","redirectPath":"/","data":${'{"a":'.repeat(9_000)}1${'}'.repeat(9_001)}`,
      invalid('#/data'),
    ],
    ['an unknown field', { ...hello, 'colour/~': 'red' }, invalid('#/colour~1~0')],
    ['a list', [], invalid('#')],
    ['no body', '', invalid('#')],
    ['no JSON', '{"memberId":1', { status: 400, type: 'malformed', pointer: '#' }],
    ['__proto__', '{"__proto__":{},"memberId":1,"message":"a","redirectPath":"/"}', invalid('#/__proto__')],
    [
      '__proto__ in data, escaped',
      String.raw`{"memberId":1,"message":"a","redirectPath":"/","data":{"list":[{"\u005f_proto__":1}]}}`,
      invalid('#/data/list/0/__proto__'),
    ],
    [
      'constructor.prototype below 5,000 lists',
      `{"memberId":1,"message":"a","redirectPath":"/","data":${'['.repeat(5_000)}{"constructor":{"prototype":1}}${']'.repeat(5_000)}}`,
      invalid('#'),
    ],
    ['65 KiB', { ...hello, message: 'a'.repeat(66_000) }, { status: 413, type: 'too-large', pointer: '#' }],
  ])('%s', async (_case, sent, { status, type, pointer }) => {
    const response = await api.send(sent as Record<string, unknown>)
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect([response.status, response.body]).toEqual([
      status,
      {
        type: `https://tidings.dev/problem/${type}`,
        title: expect.any(String),
        status,
        detail: expect.any(String),
        errors: [{ in: 'body', pointer, detail: expect.any(String) }],
        requestId: response.headers.get('x-request-id'),
      },
    ])
  })

  test.each([
    ['/notification/send', {}, 'message', 'is required'],
    ['/notification/send', { ...hello, message: 5 }, 'message', 'must be a text'],
    ['/notification/send', { ...hello, message: '' }, 'message', 'must not be empty'],
    ['/notification/send', { ...hello, message: 'a'.repeat(4_001) }, 'message', 'must have at most 4000 characters'],
    ['/notification/send', { ...hello, data: 'a' }, 'data', 'must be an object'],
    ['/notification/send', { message: 'a', redirectPath: '/' }, 'memberId', 'give either memberId or memberIds'],
    ['/notification/send', { message: 'a', redirectPath: '/', memberIds: 7 }, 'memberIds', 'must be a list'],
    ['/notification/send', { message: 'a', redirectPath: '/', memberIds: [] }, 'memberIds', 'must not be empty'],
    ['/task', { kind: 'chat' }, 'memberId', 'is required'],
    ['/task', { memberId: 1 }, 'kind', 'is required'],
    ['/task', { memberId: 1, kind: ' ' }, 'kind', 'must match /^[A-Za-z0-9][A-Za-z0-9._-]*$/'],
    ['/task', { memberId: 1, kind: 'chat', taskId: uuid.toUpperCase() }, 'taskId', 'must be a UUID in lower case'],
    ['/task', { memberId: 1, kind: 'chat', taskId: 'a' }, 'taskId', 'must be a UUID in lower case'],
    [`/task/${uuid}/event`, {}, 'type', 'must be "progress" or "append" or "data"'],
    [`/task/${uuid}/event`, { type: 'progress', percent: 101 }, 'percent', 'must be at most 100'],
    [`/task/${uuid}/event?offset=a`, { type: 'progress' }, 'offset', 'must be a number'],
    [`/task/${uuid}/finish`, {}, 'status', 'is required'],
    [`/task/${uuid}/finish`, { status: 'done' }, 'status', 'must be "succeeded" or "failed"'],
  ])('%s of %j: %s %s', async (path, sent, field, detail) => {
    const { status, body } = await api.post(path, sent)
    expect(status).toBe(400)
    expect(body['errors']).toContainEqual(expect.objectContaining({ pointer: `#/${field}`, detail }))
  })

  test.each([
    ['no token', { authorization: '' }, 401, 'no token'],
    ['no bearer token', { authorization: 'Basic YTpi' }, 401, 'no token'],
    ['garbage', authorization('garbage'), 401, 'malformed'],
    ['an expired token', authorization(serviceToken({ expiresInSeconds: -60 })), 401, 'expired'],
    ['a member token', authorization(memberToken(1)), 401, 'signature'],
    ['another secret', authorization(serviceToken({ secret: 'another-secret-of-at-least-32-bytes' })), 401, 'signature'],
    [
      'another scope',
      authorization(serviceToken({ scopes: ['notification:broadcast', 'task:write'] })),
      403,
      'notification:send',
    ],
    ['no scope', authorization(serviceToken({ scopes: [] })), 403, 'notification:send'],
    [
      'a scope of which ours is a prefix',
      authorization(serviceToken({ claims: { scope: 'notification:send:all x' } })),
      403,
      'notification:send',
    ],
    ['an array without the scope', authorization(serviceToken({ claims: { scope: ['task:write'] } })), 403, 'notification:send'],
    ['a scope in an object', authorization(serviceToken({ claims: { scope: { 'notification:send': true } } })), 403, 'neither'],
    ['an array with a number', authorization(serviceToken({ claims: { scope: ['notification:send', 7] } })), 403, 'neither'],
    ['the scope null', authorization(serviceToken({ claims: { scope: null } })), 403, 'neither'],
    ['the sub null', authorization(serviceToken({ claims: { sub: null } })), 401, 'sub of the token'],
    ['the sub an object', authorization(serviceToken({ claims: { sub: {} } })), 401, 'sub of the token'],
    ['the sub an array', authorization(serviceToken({ claims: { sub: ['7'] } })), 401, 'sub of the token'],
  ])('%s', async (_case, headers, status, word) => {
    const response = await api.send(hello, headers)
    expect(response.status).toBe(status)
    expect(response.body).toMatchObject({
      errors: [{ in: 'header', pointer: '#/authorization', detail: expect.stringContaining(word) }],
    })
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm="tidings"/)
  })

  test('tokens of another issuer or audience, and scopes in another claim than SERVICE_SCOPE_CLAIM; an issuer that is away is counted', async () => {
    const strict = await stack.start({
      MEMBER_JWT_SECRET: '',
      MEMBER_JWKS_URL: 'http://127.0.0.1:1/jwks',
      SERVICE_ISSUER: 'https://i.example',
      SERVICE_AUDIENCE: 'tidings',
      SERVICE_SCOPE_CLAIM: 'scp',
    })
    const own = { iss: 'https://i.example', aud: ['tidings'], scp: ['notification:send'] }
    const sendWith = (claims: object) => strict.send(hello, authorization(serviceToken({ claims: { ...own, ...claims } })))
    expect(await sendWith({})).toMatchObject({ status: 201 })
    expect(await sendWith({ iss: undefined })).toMatchObject({ status: 401 })
    expect(await sendWith({ aud: 'other' })).toMatchObject({ status: 401 })
    expect(await sendWith({ scp: undefined })).toMatchObject({ status: 403 })
    expect(await sendWith({ scp: 7 })).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('scp of the token') },
    })
    expect(await strict.member(1).get('/notification')).toMatchObject({ status: 401 })
    expect(await strict.ops('/metrics')).toContain('tidings_jwks_failures_total{caller="member"} 1')
    await strict.stop()
  })

  test('not a token whose scopes are an array', async () => {
    const headers = authorization(serviceToken({ claims: { scope: ['task:write', 'notification:send'] } }))
    expect(await api.send(hello, headers)).toMatchObject({ status: 201 })
  })

  test('another content type', async () => {
    const response = await api.send(hello, { 'content-type': 'text/plain' })
    expect(response).toMatchObject({ status: 415, body: { errors: [{ in: 'header', pointer: '#/content-type' }] } })
  })

  test('an unknown path, a known one with another method, a broken one', async () => {
    const unknown = await api.post('/notification/sned', hello)
    expect(unknown).toMatchObject({ status: 404, body: { type: 'https://tidings.dev/problem/not-found' } })
    const method = await call(`${api.url}/notification/send`, { method: 'DELETE' })
    expect(method).toMatchObject({ status: 405, body: { type: 'https://tidings.dev/problem/method-not-allowed' } })
    expect(method.headers.get('allow')).toBe('POST')
    const broken = await call(`${api.url}/%zz`, {})
    expect(broken).toMatchObject({ status: 400, body: { errors: [{ in: 'path' }] } })
  })
})

test.each([
  [String.raw`{"a":["\ud800"]}`, '#/data/a/0'],
  [String.raw`{"a":{"\udfff":1}}`, '#/data/a/%EF%BF%BD'],
])('data with an unpaired surrogate is refused, and its field named: %s', async (data, pointer) => {
  for (const [path, member] of [
    ['send', '"memberId":1,'],
    ['broadcast', ''],
  ]) {
    const refused = await api.post(`/notification/${path}`, `{${member}"message":"m","redirectPath":"/","data":${data}}`)
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ in: 'body', pointer }] } })
  }
})

test('data with a number that JavaScript would change is refused, and its field named', async () => {
  const data = '{"name":"1234567890123456789","order":{"id":1234567890123456789}}'
  for (const [path, member] of [
    ['send', '"memberId":1,'],
    ['broadcast', ''],
  ]) {
    const refused = await api.post(`/notification/${path}`, `{${member}"message":"m","redirectPath":"/","data":${data}}`)
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ in: 'body', pointer: '#/data/order/id' }] } })
  }
})
