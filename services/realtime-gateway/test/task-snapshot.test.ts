import { createDatabase, type RawSession, type ServiceProcess, serviceToken, startService, waitFor } from '@tidings/local'
import { nextTaskState, type TaskMessage, type TaskState } from '@tidings/protocol'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import {
  fetchOps,
  type GatewayStack,
  nextMessage,
  numberStrings,
  openSession,
  readMetric,
  sendFrame,
  startGatewayStack,
} from './fixture/gateway.ts'

/** Default of MAX_TASK_TEXT_BYTES and of MAX_TASK_DATA_BYTES. */
const maxTaskBytes = 524_288
/** Default of MAX_BUFFERED_BYTES. */
const maxBufferedBytes = 1_048_576
/** A text whose JSON escapes make it three times as long as in UTF-8. */
const escaped = '"\n\u0001\u0002\u0003한'

let stack: GatewayStack
let api: ServiceProcess
/** A running task with as much text and data as the limits allow. */
let taskId: string
let text: string
let dataEvents = 0

beforeAll(async () => {
  stack = await startGatewayStack()
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'gateway_task_snapshot')
  api = await startService('notify-api', { MYSQL_URL, REDIS_URL: stack.redis.url, PUBLISH_TIMEOUT_MS: '10000' })
  taskId = randomUUID()
  await post('/task', JSON.stringify({ taskId, memberId: 1, kind: 'export' }))
  text = escaped.repeat(Math.floor(maxTaskBytes / Buffer.byteLength(escaped)))
  await post(`/task/${taskId}/stream`, text, 'text/plain')
  const data = JSON.stringify({ type: 'data', data: escaped.repeat(2_400) })
  for (let bytes = Buffer.byteLength(data); bytes <= maxTaskBytes; bytes += Buffer.byteLength(data)) {
    await post(`/task/${taskId}/event`, data)
    dataEvents++
  }
})
afterAll(async () => {
  await api?.kill()
  await stack.close()
})

async function post(path: string, body: string, type = 'application/json'): Promise<void> {
  const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': type }
  const response = await fetch(api.url + path, { method: 'POST', headers, body })
  if (!response.ok) throw new Error(`${path} returned ${response.status} ${await response.text()}`)
}

/** Resolves to the largest number of unread bytes that the gateway holds for a session of the member. */
async function maxBufferedBytesOfSessions(gateway: ServiceProcess): Promise<number> {
  const { sessions } = JSON.parse((await fetchOps(gateway, '/session?memberId=1')).text) as {
    sessions: { bufferedBytes: number }[]
  }
  return Math.max(0, ...sessions.map((session) => session.bufferedBytes))
}

const subscribeToTask = (session: RawSession, id: string) =>
  sendFrame(session, 'SUBSCRIBE', { id, destination: `/member/queue/task.${taskId}` })

test('delivers snapshots larger than MAX_BUFFERED_BYTES to a client that reads, and then the events that follow them', async () => {
  const gateway = await stack.startGateway({ NOTIFY_API_URL: api.url, MAX_BUFFERED_MS: '60000' })
  const session = await openSession(gateway)
  const ids = numberStrings(1, 6)
  // Stands for a slow link. Several snapshots, as the buffers of the kernel take the first few megabytes.
  session.socket.pause()
  for (const id of ids) subscribeToTask(session, id)
  await waitFor(async () => (await maxBufferedBytesOfSessions(gateway)) > maxBufferedBytes, {
    what: 'a snapshot to be buffered',
    deadlineMs: 20_000,
  })
  await post(`/task/${taskId}/event`, JSON.stringify({ type: 'progress', percent: 50 }))
  session.socket.resume()
  const states = new Map<string, TaskState | undefined>()
  while (ids.some((id) => states.get(id)?.percent !== 50)) {
    const { headers, body } = await nextMessage(session)
    const id = headers.get('subscription') ?? ''
    states.set(id, nextTaskState(states.get(id), JSON.parse(body) as TaskMessage))
  }
  for (const state of states.values()) expect([state?.text === text, state?.data.length]).toEqual([true, dataEvents])
  expect(await readMetric(gateway, 'closes_total{code="4508"}')).toBe(0)
})

test('closes a client that does not read with 4508, and buffers no more than one snapshot for it', async () => {
  const gateway = await stack.startGateway({ NOTIFY_API_URL: api.url, MAX_BUFFERED_MS: '5000' })
  const session = await openSession(gateway)
  subscribeToTask(session, 'first')
  const { length } = Buffer.from((await nextMessage(session)).body)
  expect(length).toBeGreaterThan(2 * maxBufferedBytes)
  session.socket.pause()
  for (const id of numberStrings(1, 20)) subscribeToTask(session, id)
  let mostBytes = 0
  await waitFor(
    async () => {
      mostBytes = Math.max(mostBytes, await maxBufferedBytesOfSessions(gateway))
      return (await readMetric(gateway, 'closes_total{code="4508"}')) === 1
    },
    { deadlineMs: 25_000, what: 'the session to be closed' },
  )
  expect(mostBytes).toBeGreaterThan(maxBufferedBytes)
  expect(mostBytes).toBeLessThan(maxBufferedBytes + length)
})
