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
import { openAnswer } from './answer.test.fixture.ts'
import { Device } from './task.test.fixture.ts'

const deadlineMs = 30_000
const testMs = 180_000

let cluster: RedisCluster
let api: ServiceProcess
let gateway: ServiceProcess

beforeAll(async () => {
  cluster = await startRedisCluster({ replicas: true })
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'e2e_redis_failover')
  api = await startService('notify-api', { MYSQL_URL, REDIS_URL: cluster.url }, { deadlineMs })
  gateway = await startService('realtime-gateway', { REDIS_URL: cluster.url, NOTIFY_API_URL: api.url }, { deadlineMs })
}, testMs)
afterAll(async () => {
  await Promise.all([api, gateway].map((service) => service?.kill()))
  await cluster?.close()
})

const home = '/'
/** Enough members for every node to have some of their channels. */
const members = Array.from({ length: 12 }, (_, index) => index + 1)
const seen = new Map<number, string[]>()
/** Members who were told that something is lost. */
const told = new Set<number>()

async function listen(memberId: number): Promise<RawSession> {
  const messages: string[] = []
  seen.set(memberId, messages)
  const { session } = await connectStomp(gateway.url, { memberId })
  for (const queue of ['notification', 'session']) {
    session.sends(`SUBSCRIBE\nid:${queue}\ndestination:/member/queue/${queue}\nreceipt:${queue}\n\n\0`)
    expect((await session.nextFrame(deadlineMs)).command).toBe('RECEIPT')
  }
  void (async () => {
    for (;;) {
      const { headers, body } = await session.nextFrame(testMs)
      if (headers.get('subscription') === 'session') {
        told.add(memberId)
        continue
      }
      const { message, redirectPath } = JSON.parse(body) as { message: string; redirectPath: string }
      // Not that an answer is ready: whether that comes before or after what is sent here is a matter of pace.
      if (redirectPath === home) messages.push(message)
    }
  })().catch(() => {}) // it has left
  return session
}

async function send(message: string): Promise<void> {
  const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ memberIds: members, message, redirectPath: home })
  expect((await fetch(`${api.url}/notification/send`, { method: 'POST', headers, body })).status).toBe(201)
  await waitFor(() => members.every((memberId) => seen.get(memberId)?.includes(message)), { what: message, deadlineMs })
}

test('a replica that was behind takes over: what comes then arrives, in order, and tasks are whole', {
  timeout: testMs,
}, async () => {
  const sessions = await Promise.all(members.map(listen))
  await send('before 1')
  await send('before 2')
  // Only now, and for long enough: they are to be under way still when the replicas have been left behind.
  const answers = await Promise.all(members.map((memberId) => openAnswer(memberId, { tokens: 3_000 })))
  const devices = answers.map(({ taskId }, at) => new Device(gateway.url, members[at] as number, taskId))
  const jobs = answers.map(({ job }) => job(api.url))
  await Promise.all(devices.map((device) => device.sees(() => device.text.length > 200, 'the beginning', 2 * deadlineMs)))

  await cluster.leaveReplicasBehind()
  await send('lost by the replica 1')
  await send('lost by the replica 2')
  const reached = devices.map(({ text }) => text.length)
  await Promise.all(
    devices.map((device, at) => device.sees(() => device.text.length > (reached[at] ?? 0), 'more of the text', 2 * deadlineMs)),
  )
  await cluster.masters[0]?.kill()
  cluster.resumeReplicas()

  const messages = ['before 1', 'before 2', 'lost by the replica 1', 'lost by the replica 2', 'after 1', 'after 2', 'after 3']
  for (const message of messages.slice(4)) await send(message)
  // One whose publication Redis did not answer is published again.
  for (const memberId of members) expect([...new Set(seen.get(memberId))], `member ${memberId}`).toEqual(messages)
  expect(await Promise.all(jobs)).toEqual(members.map(() => 'succeeded'))
  for (const [at, device] of devices.entries()) {
    await device.sees(() => device.state?.status === 'succeeded', 'the end', deadlineMs)
    expect(device.text === answers[at]?.text, `the text of member ${members[at]}`).toBe(true)
  }
  await waitFor(() => told.size > 0, { what: 'members on the node that was lost to be told', deadlineMs })
  await Promise.all([...sessions, ...devices].map((each) => each.leaves()))
})
