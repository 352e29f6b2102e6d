import { serviceToken, waitFor } from '@tidings/local'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { hello, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

let stack: Stack
let api: NotifyApi
let other: NotifyApi

beforeAll(async () => {
  stack = await openStack('idempotency')
  ;[api, other] = await Promise.all([stack.start(), stack.start()])
})
// Redis resumes also when a test has failed while it was paused.
afterEach(() => stack.redis.resume())
afterAll(() => stack.close())

const bodyWith = (data: string) => `{"message":"a","redirectPath":"/","memberId":28,"data":${data}}`
const withKey = (key: string) => ({ 'idempotency-key': key })

test('the same key and body return the first response again, on every instance', async () => {
  const gateway = await stack.listen('member:1:notification')
  const first = await api.send(hello, withKey('same'))
  expect(first).toMatchObject({ status: 201, body: { online: true } })
  expect(first.headers.get('idempotent-replay')).toBeNull()
  gateway.close() // the replayed `online` is the first one, not the current one
  for (const instance of [api, other]) {
    const again = await instance.send(hello, withKey('same'))
    expect([again.status, again.text, again.headers.get('idempotent-replay')]).toEqual([201, first.text, 'true'])
  }
  expect(await stack.rows('SELECT 1 FROM notification WHERE member_id = 1')).toHaveLength(1)
})

test('a send to several members and a broadcast are replayed too', async () => {
  const content = { message: 'a', redirectPath: '/' }
  for (const [path, body] of [
    ['/notification/send', { ...content, memberIds: [21, 22, 23] }],
    ['/notification/broadcast', content],
  ] as const) {
    const first = await api.post(path, body, withKey(path))
    const again = await other.post(path, body, withKey(path))
    expect([again.status, again.text]).toEqual([201, first.text])
  }
  expect(await stack.rows('SELECT 1 FROM notification WHERE member_id IN (0, 21, 22, 23)')).toHaveLength(4)
})

test.each([
  ['a', '"message":"a","redirectPath":"/","memberId":26', '"memberId":26,"redirectPath":"/","message":"a"'],
  ['b', '"data":{"b":1,"a":{"y":[{"q":1,"p":2}],"x":null}}', '"data":{"a":{"x":null,"y":[{"p":2,"q":1}]},"b":1}'],
])('a repeat may have the keys of objects in another order, %#', async (key, first, second) => {
  const end = key === 'a' ? '' : ',"message":"a","redirectPath":"/","memberId":27'
  const sent = await api.send(`{${first}${end}}`, withKey(`order ${key}`))
  const again = await other.send(`{${second}${end}}`, withKey(`order ${key}`))
  expect([again.status, again.text, again.headers.get('idempotent-replay')]).toEqual([201, sent.text, 'true'])
})

test.each([
  ['arrays in another order', '{"a":[1,2]}', '{"a":[2,1]}'],
  ['a list for an object', '{"a":{"0":1}}', '{"a":[1]}'],
  ['a list of entries for an object', '{"a":{"b":1}}', '{"a":[["b",1]]}'],
  ['a string for a number', '{"a":1}', '{"a":"1"}'],
  ['the same values under other keys', '{"a":1,"b":2}', '{"a":2,"b":1}'],
])('a repeat with %s is refused', async (key, first, second) => {
  expect((await api.send(bodyWith(first), withKey(key))).status).toBe(201)
  expect((await api.send(bodyWith(second), withKey(key))).status).toBe(422)
})

test('the same key with another body or call is refused with 422', async () => {
  await api.send({ ...hello, memberId: 31 }, withKey('reused'))
  const { memberId: _, ...content } = hello
  for (const again of [
    await api.send({ ...hello, memberId: 32 }, withKey('reused')),
    await other.send({ ...hello, memberId: 31, data: {} }, withKey('reused')),
    await api.post('/notification/broadcast', content, withKey('reused')),
  ]) {
    expect(again).toMatchObject({
      status: 422,
      body: { type: 'https://tidings.dev/problem/key-reused', errors: [{ in: 'header', pointer: '#/idempotency-key' }] },
    })
  }
})

test("another caller's key and a key that differs in case are different keys", async () => {
  const mine = await api.send({ ...hello, memberId: 41 }, withKey('whose'))
  const theirs = await api.send(
    { ...hello, memberId: 41 },
    { ...withKey('whose'), authorization: `Bearer ${serviceToken({ claims: { sub: 'another-backend' } })}` },
  )
  const upper = await api.send({ ...hello, memberId: 41 }, withKey('WHOSE'))
  expect(new Set([mine, theirs, upper].map(({ body }) => body['notificationId'])).size).toBe(3)
})

test('an invalid request does not use up its key', async () => {
  expect(await api.send({ ...hello, message: '' }, withKey('typo'))).toMatchObject({ status: 400 })
  expect(await api.send(hello, withKey('typo'))).toMatchObject({ status: 201 })
})

test.each([
  ['empty', ''],
  ['too long', 'a'.repeat(256)],
  ['not ASCII', 'ä'],
])('a key that is %s is refused', async (_case, key) => {
  expect(await api.send(hello, withKey(key))).toMatchObject({
    status: 400,
    body: { errors: [{ in: 'header', pointer: '#/idempotency-key' }] },
  })
})

test('a key is free again after 24 hours', async () => {
  const first = await api.send({ ...hello, memberId: 51 }, withKey('old'))
  await stack.rows('UPDATE idempotency_key SET created_at = created_at - INTERVAL 25 HOUR')
  const next = await api.send({ ...hello, memberId: 51, message: 'next' }, withKey('old'))
  expect([next.status, next.body['notificationId']]).not.toEqual([201, first.body['notificationId']])
  expect(next.status).toBe(201)
})

test('50 identical requests racing over two instances store one notification and return equal responses', async () => {
  for (let round = 0; round < 5; round++) {
    const body = { ...hello, memberId: 60 + round }
    const racing = Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? api : other).send(body, withKey(`race ${round}`)))
    const responses = await Promise.all(racing)
    expect(responses.filter(({ status }) => status !== 201 && status !== 409).map(({ status }) => status)).toEqual([])
    const texts = new Set(responses.filter(({ status }) => status === 201).map(({ text }) => text))
    expect(texts.size).toBe(1)
    for (const { status, headers } of responses) if (status === 409) expect(headers.get('retry-after')).toBe('1')
    expect(await stack.rows('SELECT 1 FROM notification WHERE member_id = ?', [body.memberId])).toHaveLength(1)
    const [final] = texts
    expect((await other.send(body, withKey(`race ${round}`))).text).toBe(final)
  }
})

test('when the first instance died after its commit, repeats return 409 for a while, then the response without online', async () => {
  // Longer than the kill takes: the instance must not respond before it dies.
  const doomed = await stack.start({ PUBLISH_TIMEOUT_MS: '20000' })
  const body = { ...hello, memberId: 71 }
  stack.redis.pause()
  const unfinished = doomed.send(body, withKey('died')).catch(() => 'no response')
  const [row] = await waitFor(
    async () => {
      const rows = await stack.rows<{ notification_id: number }>('SELECT notification_id FROM notification WHERE member_id = 71')
      return rows.length > 0 && rows
    },
    { what: 'the commit' },
  )
  await doomed.kill()
  expect(await unfinished).toBe('no response')
  stack.redis.resume()
  const made = (ago: string) =>
    stack.rows(`UPDATE idempotency_key SET created_at = NOW(3) - INTERVAL ${ago} WHERE first_notification_id = ?`, [
      row?.notification_id,
    ])
  // Independent of how long the test took so far.
  await made('0 SECOND')
  expect(await other.send(body, withKey('died'))).toMatchObject({
    status: 409,
    body: { type: 'https://tidings.dev/problem/still-running' },
  })
  await made('6 SECOND')
  const again = await other.send(body, withKey('died'))
  expect(again.body).toEqual({ notificationId: row?.notification_id, memberId: 71, online: null })
  expect(again.headers.get('idempotent-replay')).toBe('true')
})

test('when the first instance died during its commit, a repeat leads to exactly one notification', async () => {
  const doomed = await stack.start()
  const body = { ...hello, memberId: 81 }
  const unlock = await stack.lockTable('outbox')
  const unfinished = doomed.send(body, withKey('halfway')).catch(() => 'no response')
  await waitFor(
    async () =>
      (
        await stack.rows(
          "SELECT 1 FROM information_schema.processlist WHERE state LIKE '%metadata lock%' AND info LIKE '%INSERT INTO outbox%' AND db = DATABASE()",
        )
      ).length > 0,
    {
      what: 'the transaction to be halfway',
    },
  )
  await doomed.kill()
  await unlock()
  expect(await unfinished).toBe('no response')
  await waitFor(async () => (await other.send(body, withKey('halfway'))).status === 201, {
    deadlineMs: 20_000,
    what: 'a response',
  })
  expect(await stack.rows('SELECT 1 FROM notification WHERE member_id = 81')).toHaveLength(1)
})
