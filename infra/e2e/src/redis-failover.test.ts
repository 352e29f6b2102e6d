import {
  connectStomp,
  createDatabase,
  type RawSession,
  type RedisCluster,
  type ServiceProcess,
  serviceToken,
  startRedisCluster,
  startService,
  waitFor,
} from '@tidings/local'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { startStreamedAnswer } from './fixture/streamed-answer.ts'
import { TaskClient } from './fixture/task-stack.ts'

const deadlineMs = 30_000
const testTimeoutMs = 180_000

let cluster: RedisCluster
let api: ServiceProcess
let gateway: ServiceProcess

beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: true })
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'e2e_redis_failover')
  api = await startService('notify-api', { MYSQL_URL, REDIS_URL: cluster.url }, { deadlineMs })
  gateway = await startService('realtime-gateway', { REDIS_URL: cluster.url, NOTIFY_API_URL: api.url }, { deadlineMs })
}, testTimeoutMs)
afterAll(async () => {
  await Promise.all([api, gateway].map((service) => service?.kill()))
  await cluster?.close()
})

/** Distinguishes the notifications of this test from those of a finished answer. */
const redirectPathOfTest = '/'
/** As many as it takes for each node to hold some of their channels. */
const members = Array.from({ length: 12 }, (_, index) => index + 1)
/** Received messages by member. */
const received = new Map<number, string[]>()
/** Members that received a message on `/member/queue/session`, which reports a gap. */
const membersWithGap = new Set<number>()

async function openSubscribedSession(memberId: number): Promise<RawSession> {
  const messages: string[] = []
  received.set(memberId, messages)
  const { session } = await connectStomp(gateway.url, { memberId })
  for (const queue of ['notification', 'session']) {
    session.sends(`SUBSCRIBE\nid:${queue}\ndestination:/member/queue/${queue}\nreceipt:${queue}\n\n\0`)
    expect((await session.nextFrame(deadlineMs)).command).toBe('RECEIPT')
  }
  void (async () => {
    for (;;) {
      const { headers, body } = await session.nextFrame(testTimeoutMs)
      if (headers.get('subscription') === 'session') {
        membersWithGap.add(memberId)
        continue
      }
      const { message, redirectPath } = JSON.parse(body) as { message: string; redirectPath: string }
      // Skip the notification of a finished answer: its place among the messages of the test depends on timing.
      if (redirectPath === redirectPathOfTest) messages.push(message)
    }
  })().catch(() => {}) // rejects when the session is closed
  return session
}

/** Sends a message to all members, and resolves when each has received it. */
async function sendToAll(message: string): Promise<void> {
  const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ memberIds: members, message, redirectPath: redirectPathOfTest })
  expect((await fetch(`${api.url}/notification/send`, { method: 'POST', headers, body })).status).toBe(201)
  await waitFor(() => members.every((memberId) => received.get(memberId)?.includes(message)), { what: message, deadlineMs })
}

test('delivers in order and completes tasks after a replica that lagged behind has taken over', {
  timeout: testTimeoutMs,
}, async () => {
  const sessions = await Promise.all(members.map(openSubscribedSession))
  await sendToAll('before 1')
  await sendToAll('before 2')
  // Started only now, and long enough to be still running when the replicas lag behind.
  const answers = await Promise.all(members.map((memberId) => startStreamedAnswer(memberId, { tokens: 3_000 })))
  const clients = answers.map(({ taskId }, at) => new TaskClient(gateway.url, members[at] as number, taskId))
  const jobs = answers.map(({ job }) => job(api.url))
  await Promise.all(
    clients.map((client) => client.waitUntil(() => client.text.length > 200, 'the beginning of the text', 2 * deadlineMs)),
  )

  await cluster.leaveReplicasBehind()
  await sendToAll('lost by the replica 1')
  await sendToAll('lost by the replica 2')
  const lengths = clients.map(({ text }) => text.length)
  await Promise.all(
    clients.map((client, at) =>
      client.waitUntil(() => client.text.length > (lengths[at] ?? 0), 'more of the text', 2 * deadlineMs),
    ),
  )
  await cluster.masters[0]?.kill()
  cluster.resumeReplicas()

  const messages = ['before 1', 'before 2', 'lost by the replica 1', 'lost by the replica 2', 'after 1', 'after 2', 'after 3']
  for (const message of messages.slice(4)) await sendToAll(message)
  // Without repeats: a publication is repeated when Redis did not reply to it.
  for (const memberId of members) expect([...new Set(received.get(memberId))], `member ${memberId}`).toEqual(messages)
  expect(await Promise.all(jobs)).toEqual(members.map(() => 'succeeded'))
  for (const [at, client] of clients.entries()) {
    await client.waitUntil(() => client.state?.status === 'succeeded', 'the status succeeded', deadlineMs)
    expect(client.text === answers[at]?.text, `the text of member ${members[at]}`).toBe(true)
  }
  await waitFor(() => membersWithGap.size > 0, { what: 'a gap for members whose channels were on the killed node', deadlineMs })
  await Promise.all([...sessions.map((session) => session.leaves()), ...clients.map((client) => client.disconnect())])
})
