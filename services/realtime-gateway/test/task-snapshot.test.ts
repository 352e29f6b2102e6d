import { createDatabase, type RawSession, type ServiceProcess, serviceToken, startService, waitFor } from '@tidings/local'
import { nextTaskState, type TaskMessage, type TaskState } from '@tidings/protocol'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type Bed, connected, message, metric, numbers, openBed, ops, sendFrame } from './fixture/gateway.ts'

/** MAX_TASK_TEXT_BYTES and MAX_TASK_DATA_BYTES, which are the same, and MAX_BUFFERED_BYTES. */
const maxTaskBytes = 524_288
const maxBufferedBytes = 1_048_576
/** In JSON three times as long as it is in UTF-8. */
const escaped = '"\n\u0001\u0002\u0003한'

let bed: Bed
let api: ServiceProcess
/** Whose text and data are as large as they may be; it runs on. */
let taskId: string
let text: string
/** Of its data. */
let pieces = 0

beforeAll(async () => {
  bed = await openBed()
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'gateway_task_snapshot')
  api = await startService('notify-api', { MYSQL_URL, REDIS_URL: bed.redis.url, PUBLISH_TIMEOUT_MS: '10000' })
  taskId = randomUUID()
  await post('/task', JSON.stringify({ taskId, memberId: 1, kind: 'export' }))
  text = escaped.repeat(Math.floor(maxTaskBytes / Buffer.byteLength(escaped)))
  await post(`/task/${taskId}/stream`, text, 'text/plain')
  const data = JSON.stringify({ type: 'data', data: escaped.repeat(2_400) })
  for (let bytes = Buffer.byteLength(data); bytes <= maxTaskBytes; bytes += Buffer.byteLength(data)) {
    await post(`/task/${taskId}/event`, data)
    pieces++
  }
})
afterAll(async () => {
  await api?.kill()
  await bed.close()
})

async function post(path: string, body: string, type = 'application/json'): Promise<void> {
  const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': type }
  const response = await fetch(api.url + path, { method: 'POST', headers, body })
  if (!response.ok) throw new Error(`${path} answered ${response.status} ${await response.text()}`)
}

/** What the gateway holds for the sessions of the member that they have not read. */
async function bufferedBytes(gateway: ServiceProcess): Promise<number> {
  const { sessions } = JSON.parse((await ops(gateway, '/session?memberId=1')).text) as { sessions: { bufferedBytes: number }[] }
  return Math.max(0, ...sessions.map((session) => session.bufferedBytes))
}

const follow = (session: RawSession, id: string) =>
  sendFrame(session, 'SUBSCRIBE', { id, destination: `/member/queue/task.${taskId}` })

test('snapshots larger than MAX_BUFFERED_BYTES reach who reads, and events follow them', async () => {
  const gateway = await bed.gateway({ NOTIFY_API_URL: api.url, MAX_BUFFERED_MS: '60000' })
  const session = await connected(gateway)
  const ids = numbers(1, 6)
  // A link that is slower than the gateway: the first few megabytes are in the buffers of the kernel.
  session.socket.pause()
  for (const id of ids) follow(session, id)
  await waitFor(async () => (await bufferedBytes(gateway)) > maxBufferedBytes, {
    what: 'a snapshot to wait',
    deadlineMs: 20_000,
  })
  await post(`/task/${taskId}/event`, JSON.stringify({ type: 'progress', percent: 50 }))
  session.socket.resume()
  const states = new Map<string, TaskState | undefined>()
  while (ids.some((id) => states.get(id)?.percent !== 50)) {
    const { headers, body } = await message(session)
    const id = headers.get('subscription') ?? ''
    states.set(id, nextTaskState(states.get(id), JSON.parse(body) as TaskMessage))
  }
  for (const state of states.values()) expect([state?.text === text, state?.data.length]).toEqual([true, pieces])
  expect(await metric(gateway, 'closes_total{code="4508"}')).toBe(0)
})

test('who does not read them is closed with 4508, and no more than one of them waits for it', async () => {
  const gateway = await bed.gateway({ NOTIFY_API_URL: api.url, MAX_BUFFERED_MS: '5000' })
  const session = await connected(gateway)
  follow(session, 'first')
  const { length } = Buffer.from((await message(session)).body)
  expect(length).toBeGreaterThan(2 * maxBufferedBytes)
  session.socket.pause()
  for (const id of numbers(1, 20)) follow(session, id)
  let most = 0
  await waitFor(
    async () => {
      most = Math.max(most, await bufferedBytes(gateway))
      return (await metric(gateway, 'closes_total{code="4508"}')) === 1
    },
    { deadlineMs: 25_000, what: 'the end' },
  )
  expect(most).toBeGreaterThan(maxBufferedBytes)
  expect(most).toBeLessThan(maxBufferedBytes + length)
})
