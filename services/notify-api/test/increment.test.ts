import { type DatabaseServer, startDatabase, waitFor } from '@tidings/local'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ApiResponse, type Listener, type NotifyApi, openStack, type Stack } from './fixture/notify-api.ts'

// A cluster changes the distance between generated ids while the service runs: Galera when nodes join or leave, group replication once.
let server: DatabaseServer
let stack: Stack
let api: NotifyApi

beforeAll(async () => {
  server = await startDatabase()
  stack = await openStack('increment', server.url)
  api = await stack.start()
})
afterAll(async () => {
  await stack.close()
  await server.stop()
})

let nextMember = 100
const newMembers = (count: number) => Array.from({ length: count }, () => nextMember++)

async function setGlobal(step: number, offset: number): Promise<void> {
  await stack.rows(`SET GLOBAL auto_increment_increment = ${step}`)
  await stack.rows(`SET GLOBAL auto_increment_offset = ${offset}`)
}

/** Closes the connections of the service, so that it opens new ones with the current global settings. */
async function replaceConnections(): Promise<void> {
  // Of another database than the connections of the service.
  const connection = await createConnection(server.url)
  const database = new URL(stack.databaseUrl).pathname.slice(1)
  const [found] = await connection.query<(RowDataPacket & { id: number })[]>(
    'SELECT id FROM information_schema.processlist WHERE db = ?',
    [database],
  )
  for (const { id } of found) await connection.query('KILL ?', [id])
  await connection.end()
}

async function sendUntilAccepted(memberIds: readonly number[], key: string): Promise<ApiResponse> {
  const send = () => api.send({ message: 'a', redirectPath: '/', memberIds }, { 'idempotency-key': key })
  return waitFor(
    async () => {
      const response = await send()
      return response.status === 201 && response
    },
    { what: 'a send that is accepted' },
  )
}

const idsOf = ({ body }: ApiResponse): [memberId: number, notificationId: number][] =>
  (body['notifications'] as { memberId: number; notificationId: number }[]).map((sent) => [sent.memberId, sent.notificationId])

const byMember = (a: readonly number[], b: readonly number[]) => (a[0] ?? 0) - (b[0] ?? 0)

/** Expects that the ids in the responses are those of the rows and of the publications, each once. */
async function expectSameIds(responses: readonly ApiResponse[], gateway: Listener): Promise<void> {
  const answered = responses.flatMap(idsOf).toSorted(byMember)
  const members = answered.map(([memberId]) => memberId)
  const stored = await stack.rows<{ memberId: number; notificationId: number }>(
    'SELECT member_id AS memberId, notification_id AS notificationId FROM notification WHERE member_id IN (?) ORDER BY member_id',
    [members],
  )
  expect(stored.map(({ memberId, notificationId }) => [memberId, notificationId])).toEqual(answered)
  const published = await waitFor(
    () => {
      const bodies = gateway.publications.map(({ body }) => [body['memberId'], body['notificationId']] as [number, number])
      return bodies.length >= answered.length && bodies.toSorted(byMember)
    },
    { what: 'the publications' },
  )
  expect(published).toEqual(answered)
  // The rows that were published are deleted by their own ids, and nothing is left for the sweep.
  await waitFor(async () => (await stack.count('outbox')) === 0, { what: 'an empty outbox' })
  expect(gateway.publications).toHaveLength(answered.length)
}

test.each([
  { step: 3, offset: 2, replaced: true },
  { step: 7, offset: 5, replaced: true },
  { step: 2, offset: 1, replaced: false },
  { step: 1, offset: 1, replaced: true },
])('ids are right with step $step and offset $offset, connections replaced: $replaced', async ({ step, offset, replaced }) => {
  const members = Array.from({ length: 6 }, () => newMembers(3))
  const gateway = await stack.listen(...members.flat().map((memberId) => `member:${memberId}:notification`))
  const key = (index: number) => `step ${step} ${index}`
  await setGlobal(step, offset)
  if (replaced) await replaceConnections()
  const first = await sendUntilAccepted(members[0] ?? [], key(0))
  // Together, so that several commands share one group.
  const others = await Promise.all(members.slice(1).map((memberIds, index) => sendUntilAccepted(memberIds, key(index + 1))))
  await expectSameIds([first, ...others], gateway)
  const [one = 0, two = 0] = idsOf(first).map(([, notificationId]) => notificationId)
  if (replaced) expect(two - one).toBe(step)
})

test('a response that is rebuilt after the step has changed has the ids of the rows', async () => {
  await setGlobal(3, 1)
  await replaceConnections()
  const members = newMembers(3)
  const gateway = await stack.listen(...members.map((memberId) => `member:${memberId}:notification`))
  const first = await sendUntilAccepted(members, 'rebuilt')
  await expectSameIds([first], gateway)
  // As when the instance died before it stored its response.
  await stack.rows(
    'UPDATE idempotency_key SET answer = NULL, created_at = NOW(3) - INTERVAL 6 SECOND WHERE first_notification_id = ?',
    [idsOf(first)[0]?.[1]],
  )
  await setGlobal(1, 1)
  await replaceConnections()
  const again = await sendUntilAccepted(members, 'rebuilt')
  expect(again.headers.get('idempotent-replay')).toBe('true')
  expect(idsOf(again)).toEqual(idsOf(first))
})
