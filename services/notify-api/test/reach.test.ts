import { randomBytes } from 'node:crypto'
import { openLog } from '@tidings/chassis'
import { newVapidVariables, startPushService, waitFor } from '@tidings/local'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { Database } from '../src/database/database.ts'
import type { Delivered, Escalated } from '../src/reach/deliverer.ts'
import { EscalationPolicy } from '../src/reach/escalation.ts'
import { Reach } from '../src/reach/reach.ts'
import { dueRows, EscalationStore } from '../src/reach/store.ts'
import { type Way, ways } from '../src/reach/way.ts'
import { hello, million, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'
import { openWebhookReceiver, type WebhookReceiver } from './fixture/webhook-receiver.ts'

let stack: Stack
let receiver: WebhookReceiver
let api: NotifyApi
let members = 0
const secret = `whsec_${randomBytes(32).toString('base64')}`
const concurrency = 20

beforeAll(async () => {
  receiver = await openWebhookReceiver(secret)
  stack = await openStack('reach')
  api = await stack.start({ WEBHOOK_URL: receiver.url, WEBHOOK_SECRET: secret, WEBHOOK_CONCURRENCY: String(concurrency) })
})
afterAll(async () => {
  await stack.close()
  await receiver.stop()
})

type Deliver = (item: Escalated) => Promise<Delivered>
const sent: Delivered = { outcome: 'sent' }

/** Opens the workers of an instance, in this process. */
function openReach(deliver: Partial<Record<Way, Deliver>>, maxInFlight = 10) {
  const database = new Database(stack.databaseUrl, { connections: 4, timeoutMs: 15_000 })
  const outcomes: string[] = []
  const reach = new Reach({
    store: new EscalationStore(database),
    deliverers: Object.fromEntries(
      Object.entries(deliver).map(([way, each]) => [way, { maxInFlight, deliver: each, close: async () => {} }] as const),
    ),
    log: openLog('test', 'fatal'),
    onOutcome: (way, outcome) => outcomes.push(`${way} ${outcome}`),
    onBacklog: () => {},
  })
  const closeAll = async () => {
    await reach.close()
    await database.close()
  }
  onTestFinished(closeAll)
  return { reach, outcomes }
}

/** Stores notifications of a new member that are due to be pushed, and returns their ids. */
async function duePushes(count: number, memberId = 10_000 + ++members): Promise<number[]> {
  await stack.fill(memberId, count)
  await addPushes(memberId)
  const rows = await stack.rows<{ id: number }>('SELECT notification_id AS id FROM notification WHERE member_id = ? ORDER BY 1', [
    memberId,
  ])
  return rows.map(({ id }) => id)
}

async function addPushes(memberId: number, dueAt = 'NOW(3)'): Promise<void> {
  await stack.rows(
    `INSERT INTO escalation (notification_id, way, member_id, urgency, due_at)
     SELECT notification_id, 'push', member_id, 'low', ${dueAt} FROM notification WHERE member_id = ?`,
    [memberId],
  )
}

async function rowsOf(ids: readonly number[], way: Way) {
  return stack.rows<{ id: number; state: string; attempts: number; reason: string | null; waits: number }>(
    `SELECT notification_id AS id, state, attempts, reason, due_at > UTC_TIMESTAMP(3) + INTERVAL 1 MINUTE AS waits FROM escalation
     WHERE notification_id IN (?) AND way = ? ORDER BY id`,
    [ids, way],
  )
}

const untilSent = (ids: readonly number[], way: Way) =>
  waitFor(async () => (await rowsOf(ids, way)).filter(({ state }) => state === 'sent').length === ids.length, {
    deadlineMs: 10_000,
    what: `${ids.length} to be sent`,
  })

const push = (afterMs: number) => ({ way: 'push', afterMs })
const webhook = (afterMs: number) => ({ way: 'webhook', afterMs })

describe('a send', () => {
  const configured = new Set(ways)
  const defaults = { order: { push: true }, chat: false, '*': { webhook: true, afterSeconds: 600 } } as const
  const policy = new EscalationPolicy({ defaults, configured, pushGraceMs: 5_000 })

  test.each([
    [{ push: true }, undefined, [push(5_000)]],
    [{ push: true, afterSeconds: 60 }, undefined, [push(60_000)]],
    [{ push: true, afterSeconds: 0 }, undefined, [push(0)]],
    [{ webhook: true }, 'order', [webhook(0)]],
    [{ push: true, webhook: true, afterSeconds: 60 }, undefined, [push(5_000), webhook(60_000)]],
    [{ push: true, webhook: false, afterSeconds: 60 }, undefined, [push(60_000)]],
    [undefined, undefined, [webhook(600_000)]],
    [undefined, 'news', [webhook(600_000)]],
    [undefined, 'order', [push(5_000)]],
    [undefined, 'chat', undefined],
    [false, 'order', undefined],
  ] as const)('with escalate %j and kind %s goes out by %j', (escalate, kind, steps) => {
    expect(policy.plan(escalate, kind)?.steps).toEqual(steps)
  })

  test('without defaults and without escalate does not go out', () => {
    expect(new EscalationPolicy({ defaults: {}, configured, pushGraceMs: 0 }).plan(undefined, 'order')).toBeUndefined()
  })

  test.each([
    [{}, '#/escalate/push', 'push or webhook must be true'],
    [{ webhook: false }, '#/escalate/push', 'push or webhook must be true'],
    [{ webhook: 1 }, '#/escalate/webhook', 'must be true or false'],
    [{ webhook: true, afterSeconds: 604_801 }, '#/escalate/afterSeconds', 'must be at most 604800'],
    [{ webhook: true, afterSeconds: 0.5 }, '#/escalate/afterSeconds', 'must be an integer'],
    [{ webhook: true, urgency: 'now' }, '#/escalate/urgency', 'must be "very-low" or "low" or "normal" or "high"'],
    [{ webhook: true, after: 1 }, '#/escalate/after', 'is not known'],
    [true, '#/escalate', 'must be false or an object'],
    [{ push: true }, '#/escalate/push', 'is not available: VAPID_PUBLIC_KEY is not set'],
  ])('with escalate %j is refused, and so is the notification of a task', async (escalate, pointer, detail) => {
    const refused = (place: string) => ({ status: 400, body: { errors: [{ in: 'body', pointer: place, detail }] } })
    expect(await api.send({ ...hello, escalate })).toMatchObject(refused(pointer))
    const { body } = await api.post('/task', { memberId: 1, kind: 'test' })
    const end = { status: 'succeeded', notify: { message: 'done', redirectPath: '/', escalate } }
    expect(await api.post(`/task/${String(body['taskId'])}/finish`, end)).toMatchObject(refused(pointer.replace('#', '#/notify')))
  })

  test('to all is refused', async () => {
    const refusal = await api.post('/notification/broadcast', { message: 'all', escalate: { webhook: true } })
    expect(refusal).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/escalate', detail: 'is not known' }] } })
  })

  test('stores its escalations with it, in groups with others, with keys, several members and collapse keys', async () => {
    const escalate = { webhook: true, afterSeconds: 3_600, urgency: 'high' }
    const bodies: [fields: Record<string, unknown>, headers?: Record<string, string>][] = [
      [{ memberId: 601, escalate }],
      [{ memberId: 602 }],
      [{ memberIds: ['a|1', 603, 'a|2'], escalate }],
      [{ memberId: 604, escalate, kind: 'order', expiresAt: '2100-01-01T00:00:00Z' }],
      [{ memberId: 605, escalate }, { 'idempotency-key': 'reach' }],
      [{ memberId: 606, collapseKey: 'a', escalate }],
      [{ memberIds: [606, 'a|1'], collapseKey: 'a', escalate }],
      [{ memberId: 607, collapseKey: 'a' }],
      [{ memberId: 608, escalate: false }],
    ]
    const rounds = Array.from({ length: 5 }, () => bodies).flat()
    const responses = await Promise.all(
      rounds.map(([fields, headers], index) =>
        api.send({ message: 'grouped', ...fields }, headers && { 'idempotency-key': `reach ${index}` }),
      ),
    )
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([201]))
    const expected = responses.flatMap(({ body }, index) => {
      const stored = (body['notifications'] ?? [body]) as { notificationId: number }[]
      return rounds[index]?.[0]['escalate'] ? stored.map(({ notificationId }) => notificationId) : []
    })
    const found = await stack.rows<{ id: number; own: number | null }>(
      `SELECT e.notification_id AS id, n.member_id = e.member_id AS own FROM escalation AS e
       LEFT JOIN notification AS n ON n.notification_id = e.notification_id
       WHERE e.way = 'webhook' AND e.state = 'waiting' AND e.urgency = 'high'
         AND e.due_at BETWEEN UTC_TIMESTAMP(3) + INTERVAL 50 MINUTE AND UTC_TIMESTAMP(3) + INTERVAL 61 MINUTE`,
    )
    expect(found.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(expected.toSorted((a, b) => a - b))
    // Null: replaced by a later one with the same collapse key.
    expect(found.filter(({ own }) => own === 0)).toEqual([])
  })
})

describe('what is due', () => {
  test('is delivered once by three instances that share a database', async () => {
    const ids = await duePushes(500)
    const delivered: number[] = []
    const instances = [1, 2, 3].map(() => {
      const mine = { count: 0 }
      openReach({
        push: async ({ notificationId }) => {
          mine.count++
          delivered.push(notificationId)
          return sent
        },
      })
      return mine
    })
    await untilSent(ids, 'push')
    expect(delivered.toSorted((a, b) => a - b)).toEqual(ids)
    expect(new Set((await rowsOf(ids, 'push')).map(({ attempts }) => attempts))).toEqual(new Set([1]))
    expect(instances.filter(({ count }) => count > 0).length).toBeGreaterThan(1)
  })

  test('has the content of the notification, and the member in either form', async () => {
    const fields = { message: 'hello', redirectPath: '/a', kind: 'order', data: { a: 1 }, collapseKey: 'k' }
    for (const memberId of ['a|9', 9]) {
      const expiresAt = '2100-01-01T00:00:00.000Z'
      await api.send({ ...fields, memberId })
      const { body } = await api.send({ ...fields, memberId, expiresAt })
      const id = body['notificationId'] as number
      await stack.rows(
        `INSERT INTO escalation (notification_id, way, member_id, urgency, due_at)
         SELECT notification_id, 'push', member_id, 'very-low', NOW(3) FROM notification WHERE notification_id = ?`,
        [id],
      )
      const items: Escalated[] = []
      openReach({
        push: async (item) => {
          items.push(item)
          return sent
        },
      })
      await untilSent([id], 'push')
      const { memberKey, createdAt, ...item } = items[0] as Escalated
      const rest = { count: 2, urgency: 'very-low', attempts: 1, expiresAt: new Date(expiresAt) }
      expect(item).toEqual({ notificationId: id, memberId, ...fields, ...rest })
      const found = await stack.rows('SELECT created_at FROM notification WHERE notification_id = ? AND member_id = ?', [
        id,
        memberKey,
      ])
      expect(found).toHaveLength(1)
      expect(createdAt.getTime()).toBeGreaterThan(Date.now() - 60_000)
    }
  })

  test('fails alone: the others of the claim are delivered', async () => {
    const ids = await duePushes(40)
    const [retried = 0, dead = 0, defective = 0, nowhere = 0] = ids
    const { outcomes } = openReach({
      push: async ({ notificationId }) => {
        if (notificationId === retried) return { outcome: 'retry', afterSeconds: 3_600, reason: `😀${'x'.repeat(300)}` }
        if (notificationId === dead) return { outcome: 'dead', reason: 'HTTP 410' }
        if (notificationId === defective) throw new Error('a defect')
        return notificationId === nowhere ? { outcome: 'none' } : sent
      },
    })
    await untilSent(ids.slice(4), 'push')
    await waitFor(async () => (await rowsOf([retried, dead, defective, nowhere], 'push')).every(({ reason }) => reason), {
      what: 'the failures',
    })
    expect(await rowsOf([retried, dead, defective, nowhere], 'push')).toEqual([
      { id: retried, state: 'waiting', attempts: 1, reason: expect.stringMatching(/^😀x{253}$/), waits: 1 },
      { id: dead, state: 'dead', attempts: 1, reason: 'HTTP 410', waits: 0 },
      { id: defective, state: 'waiting', attempts: 1, reason: 'Error: a defect', waits: expect.any(Number) },
    ])
    const count = (outcome: string) => outcomes.filter((one) => one === `push ${outcome}`).length
    expect(['sent', 'retry', 'dead', 'none'].map(count)).toEqual([36, 2, 1, 1])
  })

  test('by one way is delivered while the other way hangs, and while some of the same way hang', async () => {
    const [hanging, prompt] = [await duePushes(30), await duePushes(30)]
    await stack.rows("UPDATE escalation SET way = 'webhook' WHERE notification_id IN (?)", [hanging])
    await api.stop() // its worker would deliver webhooks
    onTestFinished(async () => {
      api = await api.again()
    })
    let hung = 0
    const ends: (() => void)[] = []
    const hang: Deliver = () => {
      hung++
      return new Promise((resolve) => ends.push(() => resolve(sent)))
    }
    const first = prompt[0]
    openReach({ webhook: hang, push: (item) => (item.notificationId === first ? hang(item) : Promise.resolve(sent)) }, 3)
    await untilSent(prompt.slice(1), 'push')
    expect(hung).toBe(4)
    // Ends also those that begin while the others end.
    const ending = setInterval(() => ends.splice(0).forEach((end) => end()), 5)
    await untilSent(hanging, 'webhook')
    clearInterval(ending)
    for (const end of ends) end()
  })

  test('is delivered by another instance when the claim of one that vanished has expired', async () => {
    const ids = await duePushes(2)
    const [claimed, expired] = ids as [number, number]
    await stack.rows(
      "UPDATE escalation SET holder = 'vanished', attempts = 1, due_at = NOW(3) + INTERVAL IF(notification_id = ?, 3600, 0) SECOND WHERE notification_id IN (?)",
      [claimed, ids],
    )
    openReach({ push: async () => sent })
    await untilSent([expired], 'push')
    expect(await rowsOf(ids, 'push')).toMatchObject([{ state: 'waiting' }, { state: 'sent', attempts: 2 }])
  })

  test('is found at once when it is expedited, long before it is due', async () => {
    const memberId = 10_000 + ++members
    await stack.fill(memberId, 1)
    await addPushes(memberId, 'NOW(3) + INTERVAL 1 HOUR')
    const [row] = await stack.rows<{ id: number }>('SELECT notification_id AS id FROM escalation WHERE member_id = ?', [memberId])
    const { reach } = openReach({ push: async () => sent })
    reach.expedite([row?.id ?? 0])
    await untilSent([row?.id ?? 0], 'push')
  })
})

const device = (memberId: number) => api.member(memberId)

test('what a member has seen, or no longer has, is not delivered; nor is what a device has received pushed', async () => {
  const escalate = { webhook: true, afterSeconds: 3_600 }
  const post = async (memberId: number, fields: Record<string, unknown> = {}) => {
    const { body } = await api.send({ ...hello, memberId, escalate, ...fields })
    return body['notificationId'] as number
  }
  const changes: Record<string, (memberId: number, id: number) => Promise<unknown>> = {
    seen: (memberId, id) => device(memberId).post('/notification/seen', { upTo: id }),
    read: (memberId, id) => device(memberId).post(`/notification/${id}/read`),
    'read and unread again': async (memberId, id) => {
      await device(memberId).post(`/notification/${id}/read`)
      await device(memberId).post(`/notification/${id}/unread`)
    },
    archived: (memberId, id) => device(memberId).post(`/notification/${id}/archive`),
    deleted: (memberId, id) => device(memberId).delete(`/notification/${id}`),
    recalled: (_, id) => api.delete(`/notification/${id}`),
    expired: (_, id) => stack.rows("UPDATE notification SET expires_at = '2020-01-01' WHERE notification_id = ?", [id]),
    collapsed: (memberId) => post(memberId, { collapseKey: 'k', escalate: false }),
    received: (memberId, id) => device(memberId).post('/notification/received', { notificationIds: [id] }),
    untouched: async () => {},
  }
  const ids = new Map<string, number>()
  for (const [index, [name, change]] of Object.entries(changes).entries()) {
    const memberId = 700 + index
    const id = await post(memberId, { collapseKey: 'k' })
    await addPushes(memberId, 'NOW(3) + INTERVAL 1 HOUR')
    await change(memberId, id)
    ids.set(name, id)
  }
  const all = [...ids.values()]
  const pushed: number[] = []
  const { outcomes } = openReach({
    push: async ({ notificationId }) => {
      pushed.push(notificationId)
      return sent
    },
  })
  await stack.rows('UPDATE escalation SET due_at = NOW(3) WHERE notification_id IN (?)', [all])
  await waitFor(
    async () => [...(await rowsOf(all, 'push')), ...(await rowsOf(all, 'webhook'))].every(({ state }) => state === 'sent'),
    {
      what: 'everything to be delivered or deleted',
    },
  )
  expect(pushed).toEqual([ids.get('untouched')])
  expect(outcomes.filter((outcome) => outcome === 'push unneeded')).toHaveLength(all.length - 1)
  expect((await rowsOf(all, 'push')).map(({ id }) => id)).toEqual([ids.get('untouched')])
  const hooked = receiver.received.map(({ event }) => event.data.notificationId).filter((id) => all.includes(id))
  expect(hooked.toSorted((a, b) => a - b)).toEqual([ids.get('received'), ids.get('untouched')])
})

test('a claim reads its own rows only, however many wait, and however many of the other way are due', async () => {
  await stack.rows(
    `INSERT INTO escalation (notification_id, way, member_id, urgency, due_at)
     SELECT 1000000000 + a.d + b.d * 10 + c.d * 100 + d.d * 1000, 'push', 1, 'low', '2100-01-01' FROM ${million} WHERE e.d + f.d = 0`,
  )
  await stack.rows(
    `INSERT INTO escalation (notification_id, way, member_id, urgency, due_at, state)
     SELECT 2000000000 + notification_id, 'webhook', 1, 'low', '2100-01-01', 'sent' FROM escalation WHERE way = 'push'`,
  )
  await duePushes(150)
  await stack.rows('ANALYZE TABLE escalation')
  const [sql, values] = dueRows('push', 100)
  const [step] = await stack.rows<{ key: string; Extra: string }>(`EXPLAIN FORMAT=TRADITIONAL ${sql}`, values)
  expect(step).toMatchObject({ key: 'escalation_due', Extra: expect.stringContaining('Using index') })
  expect(step?.Extra).not.toMatch(/filesort|temporary/i)
  expect(await stack.rowsRead(sql, values)).toBeLessThanOrEqual(101)
  await stack.rows('DELETE FROM escalation WHERE notification_id > 1000000000')
})

test('a push goes out at once when no device is connected, and otherwise after the grace period', async () => {
  const other = await openStack('reach_push')
  onTestFinished(() => other.close())
  const pushService = await startPushService()
  onTestFinished(() => pushService.close())
  const pushing = await other.start({
    ...newVapidVariables(),
    PUSH_PRIVATE_ADDRESSES: 'allow',
    PUSH_GRACE_SECONDS: '3600',
    ESCALATE: '{"chat":{"push":true}}',
  })
  const [away, here] = ['away', 7]
  const browsers = new Map([away, here].map((memberId) => [memberId, pushService.subscribe()] as const))
  for (const [memberId, { body }] of browsers) await pushing.member(memberId).put('/push/subscription', body)
  const messagesOf = (memberId: string | number) => browsers.get(memberId)?.messages ?? []
  await other.listen(`member:${here}:notification`)

  const fields = { memberIds: [here, away], message: 'hello', escalate: { push: true } }
  expect((await pushing.send(fields)).body['notifications']).toMatchObject([{ online: true }, { online: false }])
  await pushing.send({ ...fields, collapseKey: 'k' })
  await pushing.send({ memberIds: [here, away], message: 'hello', kind: 'chat' })
  for (const memberId of [here, away]) {
    const { body } = await pushing.post('/task', { memberId, kind: 'chat' })
    const notify = { message: 'hello', redirectPath: '/', kind: 'chat' }
    await pushing.post(`/task/${String(body['taskId'])}/finish`, { status: 'succeeded', notify })
  }
  await waitFor(() => messagesOf(away).length === 4, { what: 'the pushes' })
  const waiting = () =>
    other.rows<{ id: number }>("SELECT notification_id AS id FROM escalation WHERE state = 'waiting' AND member_id = ?", [here])
  const [first, ...rest] = (await waiting()).map(({ id }) => id)
  expect(rest).toHaveLength(3)

  // When the grace period is over, what was received in it is not pushed.
  await pushing.member(here).post('/notification/received', { notificationIds: rest })
  await other.rows('UPDATE escalation SET due_at = NOW(3) WHERE member_id = ?', [here])
  await waitFor(async () => (await waiting()).length === 0, { what: 'the end of the grace period' })
  expect(messagesOf(here).map(({ payload }) => payload)).toMatchObject([{ notification: { data: { notificationId: first } } }])
  expect(await pushing.ops('/metrics')).toContain('tidings_escalations_total{way="push",outcome="unneeded"} 3\n')
})

const kills = process.env['TIDINGS_LONG'] === '1' ? 20 : 3
const perKill = 100
const maxBacklog = 200

test(`kill -9 under load, ${kills} times, of two instances: all is delivered, and repeated at most what the instance was delivering`, async () => {
  await api.stop()
  const times = new Map<number, number>()
  receiver.respond((response, { event }) => {
    const { notificationId } = event.data
    times.set(notificationId, (times.get(notificationId) ?? 0) + 1)
    setTimeout(() => response.writeHead(204).end(), 10)
  })
  const env = { WEBHOOK_URL: receiver.url, WEBHOOK_SECRET: secret, WEBHOOK_CONCURRENCY: String(concurrency) }
  const instances = await Promise.all([stack.start(env), stack.start(env)])
  const load = new AbortController()
  onTestFinished(() => load.abort())
  const accepted: number[] = []
  const escalate = { webhook: true }
  const senders = [0, 1, 0, 1].map(async (at, sender) => {
    for (let count = 0; !load.signal.aborted; count++) {
      await waitFor(() => accepted.length - times.size < maxBacklog || load.signal.aborted, {
        deadlineMs: 60_000,
        what: 'deliveries',
      })
      const memberIds = Array.from({ length: 10 }, (_, index) => 20_000 + sender * 10 + index)
      const response = await (instances[at] as NotifyApi)
        .send({ memberIds, message: `${count}`, escalate })
        .catch(() => undefined)
      const stored = (response?.body['notifications'] ?? []) as { notificationId: number }[]
      accepted.push(...stored.map(({ notificationId }) => notificationId))
    }
  })
  for (let kill = 1; kill <= kills; kill++) {
    const before = times.size
    await waitFor(() => times.size >= before + perKill, { deadlineMs: 60_000, what: `${perKill} deliveries` })
    const at = kill % 2
    const victim = instances[at] as NotifyApi
    await victim.kill()
    instances[at] = await victim.again()
  }
  load.abort()
  await Promise.all(senders)
  const stored = await stack.rows<{ id: number }>(
    'SELECT notification_id AS id FROM notification WHERE member_id BETWEEN 20000 AND 20999',
  )
  const ids = stored.map(({ id }) => id)
  expect(ids).toEqual(expect.arrayContaining(accepted))
  const mine = "state = 'waiting' AND member_id BETWEEN 20000 AND 20999"
  const left = async (condition = 'TRUE') =>
    (await stack.rows(`SELECT 1 FROM escalation WHERE ${mine} AND ${condition} LIMIT 1`)).length > 0
  await waitFor(async () => receiver.open() === 0 && !(await left('due_at <= UTC_TIMESTAMP(3)')), {
    deadlineMs: 60_000,
    what: 'all but the claims of the killed to be sent',
  })
  // As if these claims had expired.
  await stack.rows(`UPDATE escalation SET due_at = UTC_TIMESTAMP(3) WHERE ${mine}`)
  await waitFor(async () => !(await left()), { deadlineMs: 60_000, what: 'everything to be sent' })
  expect(ids.filter((id) => !times.has(id))).toEqual([])
  const deliveries = ids.reduce((total, id) => total + (times.get(id) ?? 0), 0)
  expect(deliveries - ids.length).toBeLessThanOrEqual(kills * concurrency)
}, 600_000)
