import {
  createDatabase,
  localOrigin,
  memberToken,
  type RawSession,
  type RedisCluster,
  type ServiceProcess,
  serviceToken,
  startRedisCluster,
  startService,
} from '@tidings/local'
import { nextTaskState, type TaskMessage, type TaskState } from '@tidings/protocol'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { connected, message, numbers, ready, subscribed } from './fixture/gateway.ts'

let cluster: RedisCluster
let apis: readonly ServiceProcess[]
let gateway: ServiceProcess

beforeAll(async () => {
  cluster = await startRedisCluster()
  const MYSQL_URL = await createDatabase(inject('databaseServerUrl'), 'gateway_cluster_task')
  const forApi = { MYSQL_URL, REDIS_URL: cluster.url, PUBLISH_TIMEOUT_MS: '10000' }
  apis = await Promise.all([startService('notify-api', forApi), startService('notify-api', forApi)])
  gateway = await startService('realtime-gateway', { REDIS_URL: cluster.url, NOTIFY_API_URL: apis[1]?.url })
  await ready(gateway)
})
afterAll(async () => {
  await Promise.all([...(apis ?? []), gateway].map((service) => service?.kill()))
  await cluster?.close()
})

/** Enough members for every node to have some of their tasks. */
const members = numbers(1, 12).map(Number)
const headers = { authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json' }

async function post(path: string, body: object, api = 0) {
  const response = await fetch(`${apis[api]?.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function newTask(memberId: number): Promise<string> {
  const taskId = randomUUID()
  expect(await post('/task', { taskId, memberId, kind: 'chat', title: '질문' })).toMatchObject({ status: 201 })
  return taskId
}

/** Follows a task until what it comes to is this. */
async function follow(session: RawSession, until: (state: TaskState) => boolean, from?: TaskState): Promise<TaskState> {
  let state = from
  while (state === undefined || !until(state)) {
    state = nextTaskState(state, JSON.parse((await message(session)).body) as TaskMessage)
  }
  return state
}

async function device(memberId: number, taskId: string): Promise<RawSession> {
  const session = await connected(gateway, { memberId })
  await subscribed(session, 'task', `/member/queue/task.${taskId}`)
  return session
}

test('tasks on all nodes run from created to finished, followed from the beginning and from the middle', async () => {
  await Promise.all(
    members.map(async (memberId) => {
      const taskId = await newTask(memberId)
      const event = (body: object, api?: number) => post(`/task/${taskId}/event`, body, api)
      const early = await device(memberId, taskId)
      expect(await event({ type: 'progress', percent: 40, stage: '답변 작성' })).toMatchObject({ status: 202 })
      expect(await event({ type: 'append', text: `${memberId}번: ` })).toMatchObject({ status: 202 })
      expect(await event({ type: 'data', data: { memberId } }, 1)).toMatchObject({ status: 202 })
      const late = await device(memberId, taskId)
      expect(await event({ type: 'append', text: '끝' }, 1)).toMatchObject({ status: 202 })
      const end = { status: 'succeeded', result: { memberId }, notify: { message: '끝', redirectPath: '/' } }
      expect(await post(`/task/${taskId}/finish`, end)).toMatchObject({ status: 200 })
      const text = `${memberId}번: 끝`
      const { status, result } = end
      const whole = {
        taskId,
        kind: 'chat',
        title: '질문',
        status,
        percent: 40,
        stage: '답변 작성',
        text,
        data: [{ memberId }],
        result,
      }
      for (const session of [early, late]) expect(await follow(session, (state) => state.status === status)).toEqual(whole)
      const stored = await fetch(`${apis[1]?.url}/task/${taskId}`, { headers })
      expect(await stored.json()).toMatchObject({ ...whole, memberId })
    }),
  )
})

test('a stream arrives whole, and ends with the cancel', async () => {
  await Promise.all(
    members.map(async (memberId) => {
      const taskId = await newTask(memberId)
      const session = await device(memberId, taskId)
      let source: ReadableStreamDefaultController<Uint8Array> | undefined
      const body = new ReadableStream<Uint8Array>({ start: (controller) => void (source = controller) })
      const streaming = fetch(`${apis[0]?.url}/task/${taskId}/stream?offset=0`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'text/plain' },
        body,
        duplex: 'half',
      })
      let text = ''
      let state: TaskState | undefined
      for (const word of numbers(1, 20).map((each) => `낱말${each} `)) {
        text += word
        source?.enqueue(Buffer.from(word))
        state = await follow(session, ({ text: seen }) => seen === text, state)
      }
      const cancelling = await fetch(`${apis[1]?.url}/task/${taskId}/cancel`, {
        method: 'POST',
        headers: { cookie: `access_token=${memberToken(memberId)}`, origin: localOrigin, 'content-type': 'application/json' },
      })
      expect(cancelling.status).toBe(200)
      const refused = await streaming
      expect([refused.status, await refused.json()]).toMatchObject([409, { taskStatus: 'cancelled' }])
      expect(await follow(session, ({ status }) => status === 'cancelled', state)).toMatchObject({ text })
    }),
  )
})
