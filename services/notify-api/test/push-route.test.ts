import { localOrigin, memberToken, newVapidVariables, type PushService, startPushService, waitFor } from '@tidings/local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

const vapid = newVapidVariables()
const path = '/push/subscription'

let stack: Stack
let pushService: PushService
let api: NotifyApi

beforeAll(async () => {
  stack = await openStack('push_route')
  pushService = await startPushService()
  api = await stack.start({ ...vapid, PUSH_PRIVATE_ADDRESSES: 'allow', MAX_PUSH_SUBSCRIPTIONS: '3' })
})
afterAll(async () => {
  await stack.close()
  await pushService.close()
})

/** Resolves to the stored endpoints of a member, in the order of their last PUT. */
async function stored(memberId: number): Promise<string[]> {
  const rows = await stack.rows<{ endpoint: string }>(
    'SELECT endpoint FROM push_subscription WHERE member_id = ? ORDER BY changed_at, subscription_id',
    [memberId],
  )
  return rows.map(({ endpoint }) => endpoint)
}

const subscription = () => pushService.subscribe().body

test('a browser reads the key and subscribes with what PushSubscription.toJSON() returns; a repeat replaces its keys', async () => {
  expect(await api.member(1).get('/push/key')).toMatchObject({ status: 200, body: { publicKey: vapid.VAPID_PUBLIC_KEY } })
  const { endpoint, keys } = subscription()
  const body = { endpoint, expirationTime: null, keys, lang: 'ko-KR', contentEncoding: 'aes128gcm' }
  expect(await api.member(1).put(path, body)).toMatchObject({ status: 204, text: '' })
  const other = subscription()
  expect((await api.member(1).put(path, { endpoint, keys: other.keys })).status).toBe(204)
  const rows = await stack.rows<{ p256dh: Buffer }>('SELECT * FROM push_subscription WHERE member_id = 1')
  expect(rows).toEqual([expect.objectContaining({ endpoint, origin: localOrigin, lang: null })])
  expect(rows[0]?.p256dh.toString('base64url')).toBe(other.keys.p256dh)

  const deleted = [await api.member(2).delete(path, { endpoint }), await api.member('new').delete(path, { endpoint })]
  expect([...deleted.map(({ status }) => status), await stored(1)]).toEqual([204, 204, [endpoint]])
  for (const _ of [1, 2]) expect((await api.member(1).delete(path, { endpoint })).status).toBe(204)
  expect(await stored(1)).toEqual([])
})

test('an app subscribes with Authorization, without an Origin; a page on another Origin cannot', async () => {
  const headers = { authorization: `Bearer ${memberToken('auth0|app')}`, 'content-type': 'application/json' }
  const put = (more: Record<string, string>) =>
    call(`${api.url}${path}`, { method: 'PUT', headers: { ...headers, ...more }, body: JSON.stringify(subscription()) })
  expect((await put({})).status).toBe(204)
  expect((await put({ origin: 'https://elsewhere.example' })).status).toBe(403)
  expect(await stack.rows('SELECT origin FROM push_subscription WHERE origin IS NULL')).toHaveLength(1)
  const preflight = await call(`${api.url}${path}`, {
    method: 'OPTIONS',
    headers: { origin: localOrigin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type' },
  })
  expect(preflight.headers.get('access-control-allow-methods')).toContain('PUT')
})

test('an endpoint has one member: a PUT by another one moves it', async () => {
  const body = subscription()
  await api.member(11).put(path, body)
  await api.member('auth0|12').put(path, body)
  expect(await stored(11)).toEqual([])
  await api.member(13).put(path, body)
  expect(await stored(13)).toEqual([body.endpoint])
})

test('`replaces` removes the earlier endpoint of the member, and not that of another', async () => {
  const [old, other, next] = [subscription(), subscription(), subscription()]
  await api.member(21).put(path, old)
  await api.member(22).put(path, other)
  await api.member(21).put(path, { ...next, replaces: old.endpoint })
  await api.member(21).put(path, { ...next, replaces: other.endpoint })
  await api.member(21).put(path, { ...next, replaces: next.endpoint })
  expect([await stored(21), await stored(22)]).toEqual([[next.endpoint], [other.endpoint]])
})

test('beyond MAX_PUSH_SUBSCRIPTIONS, the one that was put longest ago gives way', async () => {
  const [first, second, third, fourth] = [subscription(), subscription(), subscription(), subscription()]
  for (const body of [first, second, third, first, fourth]) expect((await api.member(31).put(path, body)).status).toBe(204)
  expect(await stored(31)).toEqual([third, first, fourth].map(({ endpoint }) => endpoint))
  await Promise.all(Array.from({ length: 10 }, () => api.member(32).put(path, subscription())))
  await api.member(32).put(path, subscription())
  expect(await stored(32)).toHaveLength(3)
})

test.each([
  [{ endpoint: 'nothing' }, '#/endpoint'],
  [{ endpoint: 'file:///etc/passwd' }, '#/endpoint'],
  [{ endpoint: `https://push.example/${'x'.repeat(2_048)}` }, '#/endpoint'],
  [{ endpoint: 'https://push.example/한글' }, '#/endpoint'],
  [{ endpoint: 'https://a:b@push.example/' }, '#/endpoint'],
  [{ keys: { p256dh: 'A'.repeat(87), auth: 'A'.repeat(22) } }, '#/keys/p256dh'],
  [{ keys: { p256dh: 'A'.repeat(86), auth: 'A'.repeat(22) } }, '#/keys/p256dh'],
  [{ keys: { p256dh: subscriptionKey(), auth: 'A'.repeat(21) } }, '#/keys/auth'],
  [{ lang: '<script>' }, '#/lang'],
  [{ replaces: 'nothing' }, '#/replaces'],
])('refuses a subscription with %j', async (fault, pointer) => {
  const { status, body } = await api.member(41).put(path, { ...subscription(), ...fault })
  expect([status, body['errors']]).toEqual([400, [expect.objectContaining({ in: 'body', pointer })]])
  expect(await stored(41)).toEqual([])
})

test('by default, endpoints are public hosts with HTTPS', async () => {
  const careful = await stack.start(vapid)
  const put = (endpoint: string) => careful.member(51).put(path, { ...subscription(), endpoint })
  const refused = [
    'http://push.example/',
    'https://localhost/',
    'https://127.0.0.1/',
    'https://10.0.0.1/',
    'https://169.254.169.254/latest/meta-data',
    'https://[::1]/',
    'https://[fd00::1]/',
    'https://[::ffff:10.0.0.1]/',
  ]
  for (const endpoint of refused) {
    const { status, body } = await put(endpoint)
    expect([endpoint, status, body['errors']]).toEqual([endpoint, 400, [expect.objectContaining({ pointer: '#/endpoint' })]])
  }
  expect((await put('https://push.example/')).status).toBe(204)
  await careful.stop()
})

test('without VAPID keys there is no key and no subscription, but one can be removed', async () => {
  const without = await stack.start()
  const member = without.member(61)
  const body = subscription()
  const responses = [await member.get('/push/key'), await member.put(path, body), await member.delete(path, body)]
  expect(responses.map(({ status }) => status)).toEqual([404, 404, 204])
  expect(responses[0]?.body['detail']).toBe('Web Push is not configured: VAPID_PUBLIC_KEY is not set.')
  await without.stop()
})

test('a revocation of a member removes the subscriptions of the member; a revoked token cannot subscribe again', async () => {
  const [own, other] = [subscription(), subscription()]
  await api.member(71).put(path, own)
  await api.member(72).put(path, other)
  expect((await api.post('/session/revoke', { memberId: 71 })).status).toBe(202)
  expect([await stored(71), await stored(72)]).toEqual([[], [other.endpoint]])
})

test('a PUT waits for a revocation of the member that is being committed, and is refused when it concerns the token', async () => {
  const iat = Math.floor(Date.now() / 1_000) - 10
  const authorization = `Bearer ${memberToken(81, { claims: { iat } })}`
  const put = () =>
    call(`${api.url}${path}`, {
      method: 'PUT',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify(subscription()),
    })
  // Older than what instances read, so that they do not know of it.
  await stack.rows(
    "INSERT INTO revocation (member_id, token_hash, issued_before, expires_at, changed_at) VALUES ('81', '', 0, 1, '2000-01-01')",
  )
  const rollBack = await stack.lockRow("SELECT 1 FROM revocation WHERE member_id = '81' FOR UPDATE", [])
  const waiting = put()
  await waitFor(
    async () => (await stack.rows('SHOW FULL PROCESSLIST')).some(({ Info }) => String(Info).includes('LOCK IN SHARE')),
    {
      what: 'the PUT to wait',
    },
  )
  await rollBack()
  expect((await waiting).status).toBe(204)

  await stack.rows("UPDATE revocation SET issued_before = ? WHERE member_id = '81'", [iat + 1])
  expect(await put()).toMatchObject({ status: 401, body: { detail: 'the token was revoked' } })
  expect(await stored(81)).toHaveLength(1)
})

function subscriptionKey(): string {
  return newVapidVariables().VAPID_PUBLIC_KEY
}
